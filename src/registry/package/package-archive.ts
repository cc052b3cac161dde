import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { Parser } from 'tar';
import type { ReadEntry } from 'tar';
import { formatByteSize } from '../../domain/byte-size.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import type { PackageLimits } from './package-files.ts';
import { fileBytesMax, packageBytesMax, packageFilesMax } from './package-files.ts';
import { isFileName } from '../../models/signing/file-name.ts';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** Of an extended header (PAX, GNU long name): what tells a name is far smaller. */
const EXTENDED_HEADER_BYTES_MAX = 64_000;
/** Headers, padding and the two empty blocks at the end, beside the files themselves. */
const OVERHEAD_BYTES_MAX = 1_000_000;
/** The folder itself, as `./`, `pump/` or both. */
const FOLDERS_MAX = 4;

/** `model.onnx`, `./model.onnx`, `pump/model.onnx`, `./pump/model.onnx`: nothing else is a file of a package. */
const filePattern = /^(?:\.\/)?(?:([^/]+)\/)?([^/]+)$/;
const folderPattern = /^(?:\.\/?|(?:\.\/)?[^/]+\/?)$/;

/**
 * Unpacks an archive into files of one folder: an entry's name is a plain one, and never says where it is written.
 *
 * Only plain files are let in, each once, alone or together in one folder. Sizes are bounded while the
 * archive is being unpacked, whatever its headers say.
 *
 * @param archive Path of the archive, gzip'd or not.
 * @param folder Where the files go; they must not be there yet.
 * @returns The files that there were.
 * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large'.
 */
export async function unpackArchive(
  archive: string,
  folder: string,
  bounds: PackageLimits,
): Promise<readonly string[]> {
  await using unpacking = new Unpacking(folder, bounds);
  try {
    for await (const chunk of tarBytes(archive)) await unpacking.take(chunk);
    return await unpacking.end();
  } catch (error) {
    if (error instanceof OperatingError || isOfFileSystem(error)) throw error;
    throw invalid(`The archive is damaged: ${errorMessage(error)}`, error);
  }
}

/** Decompressed, one layer: an archive that is compressed twice is none. */
async function* tarBytes(path: string): AsyncGenerator<Buffer> {
  const compressed = await isGzip(path);
  const bytes = createReadStream(path);
  if (!compressed) return yield* bytes;
  const gunzip = createGunzip();
  try {
    bytes.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
    yield* gunzip;
  } finally {
    bytes.destroy();
  }
}

async function isGzip(path: string): Promise<boolean> {
  await using file = await open(path, 'r');
  const begin = Buffer.alloc(GZIP_MAGIC.length);
  await file.read(begin, 0, begin.length, 0);
  return begin.equals(GZIP_MAGIC);
}

/** A tar parser that is fed by the chunk; what it finds in one is on the disk before it is given the next. */
class Unpacking implements AsyncDisposable {
  readonly #folder: string;
  readonly #bounds: PackageLimits;
  readonly #parser: Parser;
  readonly #found = new Set<string>();
  readonly #pending: (() => Promise<void>)[] = [];
  #topFolder: string | undefined;
  #folders = 0;
  #bytes = 0;
  #atEnd = false;
  #failure: Error | undefined;
  #file: FileHandle | undefined;

  constructor(folder: string, bounds: PackageLimits) {
    this.#folder = folder;
    this.#bounds = bounds;
    this.#parser = new Parser({
      strict: true,
      gzip: false,
      brotli: false,
      zstd: false,
      maxMetaEntrySize: EXTENDED_HEADER_BYTES_MAX,
    });
    this.#parser.on('entry', (entry: ReadEntry) => this.#enter(entry));
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => this.#fail(unknownEntry(entry)));
    this.#parser.on('eof', () => (this.#atEnd = true));
    this.#parser.on('error', (error: Error) => this.#fail(invalid(`The archive is damaged: ${error.message}`, error)));
  }

  async take(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    const bytesMax = packageBytesMax(this.#bounds) + OVERHEAD_BYTES_MAX;
    if (this.#bytes > bytesMax)
      throw registryFailure(
        'model-package-too-large',
        `The archive unpacks to more than the ${formatByteSize(bytesMax)} that a package may have (models.maxModelSize)`,
      );
    // What follows the end is padding; the parser would keep it all in memory.
    if (this.#atEnd) return;
    if (this.#bytes === chunk.length && chunk.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC))
      throw invalid('The archive is compressed twice');
    this.#parser.write(chunk);
    await this.#settle();
  }

  async end(): Promise<readonly string[]> {
    this.#parser.end();
    await this.#settle();
    return [...this.#found];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }

  /** Does in order what the parser found; the first thing wrong ends it. */
  async #settle(): Promise<void> {
    for (const write of this.#pending.splice(0)) await write();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }

  #enter(entry: ReadEntry): void {
    const file = this.#admit(entry);
    if (file === undefined || this.#failure !== undefined) {
      entry.resume();
      return;
    }
    const path = join(this.#folder, file);
    this.#pending.push(async () => {
      this.#file = await open(path, 'wx');
    });
    entry.on('data', (chunk: Buffer) => this.#pending.push(async () => this.#file?.appendFile(chunk)));
    entry.on('end', () =>
      this.#pending.push(async () => {
        await this.#file?.sync();
        await this.#file?.close();
        this.#file = undefined;
      }),
    );
  }

  /** @returns Which file of the package it is; undefined for one that is none, which may be a fault. */
  #admit(entry: ReadEntry): string | undefined {
    if (entry.type === 'Directory') {
      this.#folders += 1;
      if (!folderPattern.test(entry.path) || this.#folders > FOLDERS_MAX) this.#fail(unknownEntry(entry));
      return undefined;
    }
    const [, folder = '', name = ''] = filePattern.exec(entry.path) ?? [];
    if ((entry.type !== 'File' && entry.type !== 'OldFile') || folder === '..' || !isFileName(name)) {
      this.#fail(unknownEntry(entry));
      return undefined;
    }
    if (this.#found.has(name)) this.#fail(invalid(`The archive has ${name} twice`));
    if (folder !== (this.#topFolder ??= folder))
      this.#fail(invalid(`The archive has files of a package in '${this.#topFolder}' and in '${folder}'`));
    const bytesMax = fileBytesMax(this.#bounds, name);
    if (entry.size > bytesMax)
      this.#fail(
        registryFailure(
          'model-package-too-large',
          `${name} has ${formatByteSize(entry.size)} in the archive, more than the ${formatByteSize(bytesMax)} allowed`,
        ),
      );
    this.#found.add(name);
    const filesMax = packageFilesMax(this.#bounds);
    if (this.#found.size > filesMax)
      this.#fail(invalid(`The archive has more than the ${filesMax} files of a package`));
    return name;
  }
}

function unknownEntry({ type, path }: ReadEntry): OperatingError {
  const shown = JSON.stringify(path.slice(0, 100));
  return invalid(
    `The archive has ${shown} (${type}); a package is plain files, model.onnx and model.yaml among them, alone or in one folder`,
  );
}

function invalid(message: string, cause?: unknown): OperatingError {
  return registryFailure('model-package-invalid', message, { cause });
}

/** A full disk is no fault of the archive. */
function isOfFileSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
