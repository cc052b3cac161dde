#!/bin/sh
# Makes and checks everything that is published: bundles and Debian packages for both processors, signature, npm package.
# Needs root and Debian. Takes about three minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
fail() { echo "test-packages.sh: $1" >&2; exit 1; }

# Both at the same time: compression uses one core.
npm run --silent build
export ANDON_IS_BUILT=yes
make() {
  packaging/make-bundle.sh --arch "$1" "$out"
  packaging/make-deb.sh "$out"/andon-*-"$1".tar.gz "$out"
}
make aarch64 &
other=$!
make x86_64
wait "$other"

openssl genpkey -algorithm ed25519 -out "$out/key.pem"
openssl pkey -in "$out/key.pem" -pubout -out "$out/key.pub"
ANDON_SIGNING_KEY=$out/key.pem packaging/sign.sh "$out"
# As docs/install.md has it.
verify() { (cd "$out" && openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig && sha256sum --check --quiet SHA256SUMS); }
verify || fail "the signature is wrong"
bundle=$(echo "$out"/andon-*-aarch64.tar.gz)
echo x >>"$bundle"
if verify 2>/dev/null; then fail "a changed bundle is accepted"; fi
sed -i 's/^./0/' "$out/SHA256SUMS"
if verify 2>/dev/null; then fail "changed sums are accepted"; fi

for architecture in amd64 arm64; do
  dpkg-deb --field "$out"/andon_*_"$architecture".deb Architecture | grep -qx "$architecture" || fail "wrong architecture"
done
lintian --fail-on error,warning --tag-display-limit 0 "$out"/andon_*_"$(dpkg --print-architecture)".deb
packaging/test-deb.sh "$out"/andon_*_"$(dpkg --print-architecture)".deb

# npm may use the registry once, to fill its cache. The installation itself has no network.
npm pack --silent --pack-destination "$out" >/dev/null
for network in '' 'unshare --net'; do
  rm -rf "$out/prefix"
  $network npm install --global --ignore-scripts --loglevel=error --prefix "$out/prefix" --cache "$out/cache" ${network:+--offline} "$out"/andon-*.tgz
done
PATH=/usr/bin:/bin "$out/prefix/bin/andon" check config/demo.yaml
test -s "$out/prefix/lib/node_modules/andon/screen/dist/index.html.gz" || fail "the npm package has no pages"
echo "ok: bundles, Debian packages, signature, npm package"
