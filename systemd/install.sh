#!/bin/sh
# Installs andon from this bundle: program to /opt/andon, example configuration to /etc/andon (an existing
# one is kept), records to /var/lib/andon, the unit, and the user `andon`. To upgrade, run it from a newer bundle.
#   install.sh [--root DIR]     installs into DIR for a disk image; starts nothing and creates no user
set -eu
root=
case ${1:-} in
  --root) root=${2:?--root needs a folder} ;;
  '') ;;
  *) echo "usage: install.sh [--root DIR]" >&2; exit 64 ;;
esac
bundle=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "install.sh: $1" >&2; exit 1; }
[ -e "$bundle/dist/cli/main.js" ] || fail "$bundle has no dist/. Make a bundle with systemd/make-bundle.sh and run install.sh from it"
[ -x "$bundle/node_modules/node/bin/node" ] || fail "$bundle has no Node in node_modules. Make a bundle with systemd/make-bundle.sh and run install.sh from it"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "must be root (sudo $0)"

if [ -z "$root" ]; then
  id andon >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/andon --shell /usr/sbin/nologin andon
fi

echo "program        $root/opt/andon"
rm -rf "$root/opt/andon.new" "$root/opt/andon.old"
mkdir -p "$root/opt/andon.new"
cp -R "$bundle/." "$root/opt/andon.new/"
[ ! -e "$root/opt/andon" ] || mv "$root/opt/andon" "$root/opt/andon.old"
mv "$root/opt/andon.new" "$root/opt/andon"
rm -rf "$root/opt/andon.old"

mkdir -p "$root/etc/andon/credentials" "$root/var/lib/andon/models" "$root/etc/systemd/system" "$root/usr/local/bin"
chmod 0700 "$root/etc/andon/credentials"
if [ -e "$root/etc/andon/andon.yaml" ]; then
  echo "configuration  $root/etc/andon/andon.yaml (kept)"
else
  cp "$bundle/config/andon.yaml" "$root/etc/andon/andon.yaml"
  echo "configuration  $root/etc/andon/andon.yaml (example: edit it)"
fi
cp -Rn "$bundle/models/." "$root/var/lib/andon/models/"
cp "$bundle/systemd/andon.service" "$root/etc/systemd/system/andon.service"
# A script and not a link: the box may have no other Node than the one in the bundle.
cat >"$root/usr/local/bin/andon" <<'WRAPPER'
#!/bin/sh
exec /opt/andon/node_modules/node/bin/node /opt/andon/bin/andon.js "$@"
WRAPPER
chmod 0755 "$root/usr/local/bin/andon"
echo "records        $root/var/lib/andon"

if [ -z "$root" ]; then
  chown -R andon:andon /var/lib/andon
  chgrp -R andon /etc/andon && chmod -R g+rX /etc/andon && chmod 0700 /etc/andon/credentials
  systemctl daemon-reload
  systemctl enable andon.service
  echo
  echo "Edit /etc/andon/andon.yaml, then:"
  echo "  andon check /etc/andon/andon.yaml     reports all problems"
  echo "  systemctl start andon                 systemctl status andon, journalctl -u andon -f"
  echo "To remove andon: /opt/andon/systemd/uninstall.sh"
fi
