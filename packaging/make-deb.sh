#!/bin/sh
# Makes andon_<version>_<architecture>.deb from a bundle.
#   make-deb.sh BUNDLE.tar.gz [FOLDER]     default: the current folder
set -eu
[ $# -ge 1 ] || { echo "usage: make-deb.sh BUNDLE.tar.gz [FOLDER]" >&2; exit 64; }
bundle=$1
mkdir -p "${2:-.}"
out=$(cd "${2:-.}" && pwd)
sources=$(cd "$(dirname "$0")/debian" && pwd)
name=$(basename "$bundle" .tar.gz)
case $name in
  *-x86_64) architecture=amd64 ;;
  *-aarch64) architecture=arm64 ;;
  *) echo "make-deb.sh: expected a file of make-bundle.sh such as andon-1.0.0-x86_64.tar.gz, not $bundle" >&2; exit 64 ;;
esac
version=${name#andon-}
# 1.0.0-rc.1 is older than 1.0.0 only with a tilde.
version=$(echo "${version%-*}" | sed 's/-/~/g')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

mkdir -p "$root/usr/lib/systemd/system" "$root/usr/bin" "$root/etc/andon" "$root/usr/share/doc/andon" "$root/usr/share/lintian/overrides" "$root/DEBIAN"
chmod 0755 "$work" "$root"
tar -C "$root/usr/lib" -xzf "$bundle" --no-same-owner
mv "$root/usr/lib/$name" "$root/usr/lib/andon"
program=$root/usr/lib/andon
sed 's#/opt/andon#/usr/lib/andon#g' "$program/systemd/andon.service" >"$root/usr/lib/systemd/system/andon.service"
sed 's#/opt/andon#/usr/lib/andon#g' "$program/systemd/andon" >"$root/usr/bin/andon"
chmod 0755 "$root/usr/bin/andon"
mv "$program/config/andon.yaml" "$root/etc/andon/andon.yaml"
# dpkg does their work.
rm -r "$program/systemd" "$program/package-lock.json" "$program/.npmrc"
maintainer=$(sed -n 's/^Maintainer: //p' "$sources/control")
printf 'andon (%s) stable; urgency=medium\n\n  * See /usr/lib/andon/CHANGELOG.md.\n\n -- %s  %s\n' "$version" "$maintainer" "$(date -R)" |
  gzip -9n >"$root/usr/share/doc/andon/changelog.gz"
cp "$sources/copyright" "$root/usr/share/doc/andon/copyright"
cp "$sources/lintian-overrides" "$root/usr/share/lintian/overrides/andon"

echo /etc/andon/andon.yaml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 0755 "$sources/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find usr -type f -exec md5sum {} +) >"$root/DEBIAN/md5sums"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" \
  "$sources/control" >"$root/DEBIAN/control"
find "$root" -type d -exec chmod 0755 {} +
# Some libraries mark files as executable that are not.
find "$program" -type f -perm /111 ! -path "$program/node_modules/node-linux-*/bin/node" -exec chmod 0644 {} +
dpkg-deb --root-owner-group -Zgzip --build "$root" "$out/andon_${version}_$architecture.deb" >/dev/null
echo "made $out/andon_${version}_$architecture.deb ($(du -h "$out/andon_${version}_$architecture.deb" | cut -f1))"
