import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join, relative } from 'node:path';
import process from 'node:process';

/*
 * Checks the folder of a bundle: its size, and that it has each native library for the processor of the box and none for
 * another one. `node packaging/check-bundle.ts FOLDER x86_64|aarch64`. Exit code 1 if something is wrong.
 */
const MEGABYTES_MAX = 250;

/** Field e_machine of the ELF header. */
const elfMachines: Readonly<Record<string, number>> = { x86_64: 62, aarch64: 183 };

/** Native parts that andon cannot start without. */
const required: readonly RegExp[] = [
  /^node_modules\/node-linux-\w+\/bin\/node$/,
  /^node_modules\/better-sqlite3\/.+\.node$/,
  /^node_modules\/onnxruntime-node\/.+\/onnxruntime_binding\.node$/,
  /^node_modules\/onnxruntime-node\/.+\/libonnxruntime\.so\.\d+$/,
  /^node_modules\/@serialport\/bindings-cpp\/.+\.glibc\.node$/,
];

/** A regular file. `format` is the processor of an ELF file, another binary format, or undefined. */
type BundleFile = { readonly path: string; readonly bytes: number; readonly format: number | string | undefined };

const [root = '', arch = ''] = process.argv.slice(2);
const machine = elfMachines[arch];
if (machine === undefined) {
  console.error('usage: node packaging/check-bundle.ts FOLDER x86_64|aarch64');
  process.exit(64);
}
const files = regularFiles(root);
const native = files.filter(({ format }) => format !== undefined);
// As `du` counts on a file system with blocks of 4 KiB.
const megabytes = files.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 4096) * 4096, 0) / 1e6;
const problems = [
  ...native.filter(({ format }) => format !== machine).map(({ path }) => `${path} is not an ELF file for ${arch}`),
  ...required.filter((name) => !native.some(({ path }) => name.test(path))).map((name) => `no file matches ${name}`),
  ...(megabytes > MEGABYTES_MAX ? [`${megabytes.toFixed(0)} MB, expected ${MEGABYTES_MAX} MB at most`] : []),
];
for (const { path, bytes } of native) console.log(`${(bytes / 1e6).toFixed(1).padStart(6)} MB  ${arch}  ${path}`);
for (const problem of problems) console.error(`wrong bundle: ${problem}`);
console.log(`${megabytes.toFixed(0)} MB unpacked, ${files.length} files, ${native.length} native for ${arch}`);
process.exitCode = problems.length === 0 ? 0 : 1;

function regularFiles(folder: string): readonly BundleFile[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      return { path: relative(folder, file), bytes: lstatSync(file).size, format: binaryFormat(file) };
    });
}

/** Recognizes ELF, PE (Windows) and Mach-O (macOS, also for several processors) by their first bytes. */
function binaryFormat(file: string): number | string | undefined {
  const start = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, start, 0, start.length, 0);
  closeSync(descriptor);
  if (length < start.length) return undefined;
  const magic = start.toString('hex', 0, 4);
  if (magic === '7f454c46') return start.readUInt16LE(18);
  if (['cffaedfe', 'cefaedfe', 'cafebabe'].includes(magic)) return 'Mach-O';
  return magic.startsWith('4d5a') && /\.(exe|dll|node)$/.test(file) ? 'PE' : undefined;
}
