#!/bin/sh
# Removes what install.sh installed. Keeps configuration and records unless --purge is given.
#   uninstall.sh [--purge] [--root DIR]
set -eu
root=
purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --purge) purge=yes; shift ;;
    --root) root=${2:?--root needs a folder}; shift 2 ;;
    *) echo "usage: uninstall.sh [--purge] [--root DIR]" >&2; exit 64 ;;
  esac
done
if [ -z "$root" ]; then
  [ "$(id -u)" = 0 ] || { echo "uninstall.sh: must be root (sudo $0)" >&2; exit 1; }
  systemctl disable --now andon.service 2>/dev/null || true
fi
rm -f "$root/etc/systemd/system/andon.service" "$root/usr/local/bin/andon"
rm -rf "$root/etc/systemd/system/andon.service.d" "$root/opt/andon" "$root/opt/andon.previous"
if [ "$purge" = yes ]; then
  rm -rf "$root/etc/andon" "$root/var/lib/andon"
  [ -n "$root" ] || userdel andon 2>/dev/null || true
  echo "Removed andon, its configuration and its records."
else
  echo "Removed andon. Kept $root/etc/andon and $root/var/lib/andon (--purge removes them too)."
fi
[ -n "$root" ] || systemctl daemon-reload
