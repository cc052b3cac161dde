#!/bin/sh
# Makes andon-<version>-<arch>.tar.gz: everything that a box without internet needs, Node included. Next to it comes the
# list of its libraries, andon-<version>-<arch>.cdx.json (CycloneDX). Run it in a checkout, after npm ci.
#   make-bundle.sh [--arch x86_64|aarch64] [FOLDER]     default: the processor of this machine, the current folder
set -eu
arch=$(uname -m)
while [ $# -gt 0 ]; do
  case $1 in
    --arch) arch=${2:?--arch needs x86_64 or aarch64}; shift 2 ;;
    -*) echo "usage: make-bundle.sh [--arch x86_64|aarch64] [FOLDER]" >&2; exit 64 ;;
    *) break ;;
  esac
done
case $arch in
  x86_64) cpu=x64 ;;
  aarch64) cpu=arm64 ;;
  *) echo "make-bundle.sh: no bundle for $arch: ONNX Runtime and Node have binaries for x86_64 and aarch64 only" >&2; exit 64 ;;
esac
mkdir -p "${1:-.}"
out=$(cd "${1:-.}" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
name="andon-$version-$arch"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The list of libraries names the program after this folder.
tree=$work/andon

echo "building $name"
# Two bundles that are made at the same time share one build.
[ "${ANDON_IS_BUILT:-}" = yes ] || npm run --silent build
mkdir -p "$tree/screen"
cp -R bin dist config models systemd docs README.md CHANGELOG.md LICENSE package.json package-lock.json .npmrc "$tree/"
cp -R screen/dist "$tree/screen/"
# No install script runs: every library brings its binaries. That of ONNX Runtime would download CUDA from elsewhere.
(cd "$tree" && npm ci --omit=dev --ignore-scripts --os=linux --cpu="$cpu" --libc=glibc >/dev/null)
(cd "$tree" && npm pkg delete devDependencies && npm sbom --omit=dev --sbom-format=cyclonedx --sbom-type=application) >"$tree/sbom.cdx.json"

# The program has most libraries inside. The list of libraries above names them all.
node scripts/external-packages.ts | (cd "$tree" && xargs npm pkg delete && npm prune --omit=dev --ignore-scripts --os=linux --cpu="$cpu" --libc=glibc >/dev/null)

# Binaries for other systems and processors are most of the size. Sources to compile or debug with are the rest.
modules=$tree/node_modules
prune() { find "$@" -exec rm -rf {} +; }
prune "$modules"/onnxruntime-node/bin/*/* -maxdepth 0 ! -name linux
prune "$modules"/onnxruntime-node/bin/*/linux/* -maxdepth 0 ! -name "$cpu"
prune "$modules"/better-sqlite3/prebuilds/* -maxdepth 0 ! -name "linux-$cpu.node"
prune "$modules"/@serialport/bindings-cpp/prebuilds/* -maxdepth 0 ! -name "linux-$cpu"
prune "$modules" -name '*.musl.node'
prune "$modules" -type f '(' -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsbuildinfo' -o -name '.eslintrc*' -o -name .npmignore -o -name '.git*' ')'
rm -rf "$modules"/better-sqlite3/deps "$modules"/better-sqlite3/src "$modules"/node-linux-*/include "$modules"/protobufjs/cli
node packaging/check-bundle.ts "$tree" "$arch"

cp "$tree/sbom.cdx.json" "$out/$name.cdx.json"
mv "$tree" "$work/$name"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -czf "$out/$name.tar.gz" "$name"
echo "made $out/$name.tar.gz ($(du -h "$out/$name.tar.gz" | cut -f1))"
echo "on the box:  tar xzf $name.tar.gz && sudo $name/systemd/install.sh"
