#!/bin/sh
# Installs andon from this bundle: program to /opt/andon, example configuration to /etc/andon (an existing
# one is kept), records to /var/lib/andon, the unit, and the user `andon`. To upgrade, run it from a newer bundle:
# it restarts a running service, and returns to the previous program if the new one does not become ready.
#   install.sh [--root DIR]     installs into DIR for a disk image; starts nothing and creates no user
#   install.sh --previous       returns to the previous program, which is in /opt/andon.previous
set -eu
root=
previous=
while [ $# -gt 0 ]; do
  case $1 in
    --root) root=${2:?--root needs a folder}; shift 2 ;;
    --previous) previous=yes; shift ;;
    *) echo "usage: install.sh [--root DIR] [--previous]" >&2; exit 64 ;;
  esac
done
bundle=$(cd "$(dirname "$0")/.." && pwd)
program=$root/opt/andon
unit=$root/etc/systemd/system/andon.service
records=$root/var/lib/andon
# With --root nothing is started, unless a test gives its own systemctl.
systemctl=${ANDON_SYSTEMCTL:-}
[ -n "$root" ] || systemctl=systemctl

fail() { echo "install.sh: $1" >&2; exit 1; }

# Exchanges the program and the previous one, with the unit of each.
swap() {
  rm -rf "$program.swap"
  mv "$program" "$program.swap"
  mv "$program.previous" "$program"
  mv "$program.swap" "$program.previous"
  cp "$program/systemd/andon.service" "$unit"
}

# Starts the program in /opt/andon. systemctl returns when the agent reports that it is ready, or has failed.
restart() {
  "$systemctl" daemon-reload
  "$systemctl" reset-failed andon.service 2>/dev/null || true
  "$systemctl" restart andon.service
}

is_active() { [ -n "$systemctl" ] && "$systemctl" is-active --quiet andon.service; }

# Puts back the copies of databases that the failed start of the new program has migrated: the previous one cannot read the
# new format. The migrated files stay as *.failed-upgrade.
unmigrate() {
  find "$records" -name '*.db.v*-backup' -newer "$program.previous/.replaced" | while read -r copy; do
    database=${copy%.v*-backup}
    mv "$database" "$database.failed-upgrade"
    rm -f "$database-wal" "$database-shm"
    mv "$copy" "$database"
    echo "records        $database (put back from before the upgrade)"
  done
}

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "must be root (sudo $0)"

if [ -n "$previous" ]; then
  [ -e "$program.previous" ] || fail "there is no previous program in $program.previous"
  swap
  echo "program        $program (the previous one)"
  if is_active; then restart; fi
  exit 0
fi

[ -e "$bundle/dist/cli/main.js" ] || fail "$bundle has no dist/. Make a bundle with packaging/make-bundle.sh and run install.sh from it"
[ -x "$bundle/node_modules/.bin/node" ] || fail "$bundle has no Node in node_modules. Make a bundle with packaging/make-bundle.sh and run install.sh from it"

if [ -z "$root" ]; then
  id andon >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/andon --shell /usr/sbin/nologin andon
fi
was_active=
if [ -e "$unit" ] && is_active; then was_active=yes; fi

echo "program        $program"
rm -rf "$program.new"
mkdir -p "$program.new"
cp -R "$bundle/." "$program.new/"
if [ -e "$program" ]; then
  rm -rf "$program.previous"
  mv "$program" "$program.previous"
  touch "$program.previous/.replaced"
  echo "previous       $program.previous (install.sh --previous returns to it)"
fi
mv "$program.new" "$program"

mkdir -p "$root/etc/andon/credentials" "$records/models" "$root/etc/systemd/system" "$root/usr/local/bin"
chmod 0700 "$root/etc/andon/credentials"
is_fresh=
if [ -e "$root/etc/andon/andon.yaml" ]; then
  echo "configuration  $root/etc/andon/andon.yaml (kept)"
else
  cp "$bundle/config/andon.yaml" "$root/etc/andon/andon.yaml"
  echo "configuration  $root/etc/andon/andon.yaml (example: edit it)"
  is_fresh=yes
fi
cp -Rn "$bundle/models/." "$records/models/"
cp "$bundle/systemd/andon.service" "$unit"
cp "$bundle/systemd/andon" "$root/usr/local/bin/andon"
chmod 0755 "$root/usr/local/bin/andon"
echo "records        $records"

if [ -z "$root" ]; then
  chown -R andon:andon /var/lib/andon
  chgrp -R andon /etc/andon && chmod -R g+rX /etc/andon && chmod 0700 /etc/andon/credentials
  # Users and keys are for their owner alone.
  for private in /etc/andon/users.yaml /etc/andon/tls/*.key; do [ ! -f "$private" ] || chmod 0600 "$private"; done
  # Opens the sandbox to what the kept configuration needs.
  printf 'sandbox        '
  "$root/usr/local/bin/andon" unit --write || true
  # The new program needs links to the CUDA libraries.
  if [ -d /usr/local/lib/andon-gpu ]; then
    printf 'CUDA           '
    "$root/usr/local/bin/andon" gpu install || true
  fi
  # The password is shown at a terminal only: it must not be in the log of an installation.
  if [ -n "$is_fresh" ]; then
    printf 'login          '
    "$root/usr/local/bin/andon" users init 2>&1 || true
  fi
fi

# With a running service this is an upgrade.
if [ -n "$was_active" ]; then
  echo "restarting     andon.service"
  if ! restart; then
    [ -e "$program.previous" ] || fail "andon did not become ready: journalctl -u andon -e"
    echo "install.sh: the new program did not become ready, returning to the previous one. The log of the new one: journalctl -u andon -e" >&2
    "$systemctl" stop andon.service || true
    unmigrate
    swap
    restart || fail "the previous program did not become ready either: journalctl -u andon -e, and Downgrade in docs/operations.md"
    fail "the previous program runs again. The new one is in $program.previous"
  fi
  exit 0
fi

if [ -z "$root" ]; then
  systemctl daemon-reload
  systemctl enable andon.service
  echo
  echo "Edit /etc/andon/andon.yaml, then:"
  echo "  andon check /etc/andon/andon.yaml     reports all problems"
  echo "  systemctl start andon                 systemctl status andon, journalctl -u andon -f"
  echo "To remove andon: /opt/andon/systemd/uninstall.sh"
fi
