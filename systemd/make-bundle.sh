#!/bin/sh
# Makes andon-<version>-<arch>.tar.gz: everything that a box without internet needs, Node included.
# Run it in a checkout, on a machine with internet and the processor architecture of the box.
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
name="andon-$version-$(uname -m)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "building $name"
npm run --silent build
mkdir "$work/$name"
cp -R bin dist config models systemd docs README.md CHANGELOG.md LICENSE package.json package-lock.json .npmrc "$work/$name/"
(cd "$work/$name" && npm ci --omit=dev --no-fund --no-audit --loglevel=error)
# Binaries of ONNX Runtime for other systems and processors are most of its size.
find "$work/$name/node_modules/onnxruntime-node/bin" -mindepth 2 -maxdepth 2 -type d ! -name linux -exec rm -rf {} +
case $(uname -m) in
  x86_64) other=arm64 ;;
  *) other=x64 ;;
esac
rm -rf "$work/$name"/node_modules/onnxruntime-node/bin/*/linux/"$other"
tar -C "$work" -czf "$out/$name.tar.gz" "$name"
echo "made $out/$name.tar.gz ($(du -h "$out/$name.tar.gz" | cut -f1))"
echo "on the box:  tar xzf $name.tar.gz && sudo $name/systemd/install.sh"
