#!/bin/sh
# Installs andon from the bundle it lies in: program to /opt/andon, example configuration to /etc/andon (an existing
# one is kept), records to /var/lib/andon, the unit, and the user `andon`. Running it again is the upgrade.
#   install.sh [--root DIR]     DIR stages the files for an image; nothing is started and no user is made
set -eu
root=
case ${1:-} in
  --root) root=${2:?--root needs a folder} ;;
  '') ;;
  *) echo "usage: install.sh [--root DIR]" >&2; exit 64 ;;
esac
bundle=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "install.sh: $1" >&2; exit 1; }
[ -e "$bundle/dist/cli/main.js" ] || fail "$bundle has no dist/: make a bundle first (systemd/make-bundle.sh)"
[ -x "$bundle/node_modules/node/bin/node" ] || fail "$bundle has no node_modules with Node: make a bundle first (systemd/make-bundle.sh)"
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
# Not a link: the box may have no Node but the one in the bundle.
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
  echo "  andon check /etc/andon/andon.yaml     every mistake at once"
  echo "  systemctl start andon                 systemctl status andon, journalctl -u andon -f"
  echo "Undo all of this: /opt/andon/systemd/uninstall.sh"
fi
