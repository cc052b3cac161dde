#!/bin/sh
# Installs, upgrades, removes and purges a .deb on this Debian, below an overlay that is gone afterwards. Needs root.
#   test-deb.sh PACKAGE.deb
set -eu
package=$(realpath "$1")
if [ "${2:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "test-deb.sh: must be root" >&2; exit 64; }
  overlay=$(mktemp -d)
  trap 'rmdir "$overlay"' EXIT
  # shellcheck disable=SC2016
  unshare --mount sh -eu -c '
    mount -t tmpfs overlay "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
    mount --bind /proc "$1/root/proc"
    mount --bind /dev "$1/root/dev"
    mount -t tmpfs tmpfs "$1/root/tmp"
    cp "$2" "$1/root/tmp/andon.deb"
    cp "$3" "$1/root/tmp/test.sh"
    chroot "$1/root" sh /tmp/test.sh /tmp/andon.deb inside
  ' sh "$overlay" "$package" "$(realpath "$0")"
  exit
fi

cd /
export LC_ALL=C.UTF-8
fail() { echo "test-deb.sh: $1" >&2; exit 1; }
has() { [ -e "$1" ] || fail "$1 is missing"; }
lacks() { [ ! -e "$1" ] || fail "$1 is still there"; }
install() { dpkg --force-confdef --force-confold -i "$package" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; fail "dpkg -i failed"; }; }

install
[ "$(stat -c '%U:%G %a' /var/lib/andon)" = 'andon:andon 700' ] || fail "/var/lib/andon does not belong to andon"
[ "$(stat -c '%U %a' /etc/andon/credentials)" = 'root 700' ] || fail "/etc/andon/credentials is open"
has /etc/systemd/system/multi-user.target.wants/andon.service
problems=$(systemd-analyze verify --man=no /usr/lib/systemd/system/andon.service 2>&1 | grep andon.service || true)
[ -z "$problems" ] || fail "the unit is wrong: $problems"
PATH=/usr/bin:/bin andon check /etc/andon/andon.yaml
runuser -u andon -- andon demo --seconds 15 | grep -q ' verdicts (' || fail "the demo gave no verdicts"

# The password of the first user is in no log of the installation.
lacks /etc/andon/users.yaml
grep -q 'andon users init' /tmp/dpkg.log || fail "the installation names no command for the first user"
andon users init --json | grep -q '"password":"' || fail "there is no first user"
[ "$(stat -c '%U %a' /etc/andon/users.yaml)" = 'andon 600' ] || fail "users.yaml is open, or not of the service"

# The sandbox follows the configuration: check names what it blocks, an upgrade opens it.
drop_in=/etc/systemd/system/andon.service.d/50-configuration.conf
lacks "$drop_in"
sed -i 's#tcp://10.0.0.7:502#serial:///dev/ttyUSB0#' /etc/andon/andon.yaml
andon check 2>&1 | grep -q 'no access to the serial port /dev/ttyUSB0: run sudo andon unit --write' || fail "check does not name the blocked port"
install
grep -q '^DeviceAllow=char-ttyUSB rw$' "$drop_in" || fail "the upgrade wrote no drop-in"
if andon check 2>&1 | grep -q ttyUSB0; then fail "check names a port that the drop-in opens"; fi
mv /etc/andon/andon.yaml /tmp/andon.yaml
printf 'name,register,address,type\nload,holding,0,float32\n' >/etc/andon/press.csv
andon init /etc/andon/andon.yaml --url tcp://203.0.113.7 --unit 1 --tags /etc/andon/press.csv --machine press >/dev/null 2>&1
grep -q '^IPAddressAllow=203.0.113.7$' "$drop_in" || fail "init wrote no drop-in"
if andon check 2>&1 | grep 'andon unit'; then fail "the sandbox blocks what init wrote"; fi
mv /tmp/andon.yaml /etc/andon/andon.yaml
rm /etc/andon/press.csv

echo '# changed by the administrator' >>/etc/andon/andon.yaml
runuser -u andon -- touch /var/lib/andon/outbox.db
install
grep -q 'changed by the administrator' /etc/andon/andon.yaml || fail "the configuration is not kept"
dpkg -r andon >/dev/null 2>&1
has /var/lib/andon/outbox.db
has /etc/andon/andon.yaml
lacks /usr/lib/andon
lacks /usr/bin/andon
install
dpkg -P andon >/dev/null 2>&1
for path in /var/lib/andon /etc/andon "$drop_in" /usr/lib/andon /etc/systemd/system/multi-user.target.wants/andon.service; do lacks "$path"; done
if getent passwd andon >/dev/null; then fail "the user andon is still there"; fi
echo "ok: $(basename "$package") installs, checks, runs, upgrades, is removed and purged"
