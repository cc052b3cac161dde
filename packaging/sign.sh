#!/bin/sh
# Writes SHA256SUMS of the packages in a folder, and SHA256SUMS.sig if ANDON_SIGNING_KEY names a private key: PEM, as made by
# `andon models keygen` or `openssl genpkey -algorithm ed25519`.
#   [ANDON_SIGNING_KEY=release.pem] sign.sh FOLDER
set -eu
[ $# = 1 ] || { echo "usage: [ANDON_SIGNING_KEY=release.pem] sign.sh FOLDER" >&2; exit 64; }
key=${ANDON_SIGNING_KEY:-}
[ -z "$key" ] || key=$(realpath "$key")
cd "$1"
rm -f SHA256SUMS SHA256SUMS.sig
# The names are those of make-bundle.sh and make-deb.sh.
# shellcheck disable=SC2035
find *.tar.gz *.cdx.json *.deb -type f 2>/dev/null | LC_ALL=C sort | xargs -r sha256sum >SHA256SUMS
[ -s SHA256SUMS ] || { echo "sign.sh: no package in $1. Make one with make-bundle.sh" >&2; exit 1; }
if [ -z "$key" ]; then
  echo "sign.sh: ANDON_SIGNING_KEY is not set, so SHA256SUMS is not signed" >&2
  exit 0
fi
openssl pkeyutl -sign -rawin -inkey "$key" -in SHA256SUMS -out SHA256SUMS.sig
echo "signed $(wc -l <SHA256SUMS) files in $1/SHA256SUMS"
