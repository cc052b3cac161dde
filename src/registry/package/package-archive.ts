import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { formatByteSize } from '../../domain/byte-size.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { fileBytesMax, packageBytesMax, packageFilesMax, type PackageLimits } from './package-files.ts';
import { isFileName } from '../../models/signing/file-name.ts';

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
/** Size of an extended header (PAX, GNU long name). A name needs far less. */
const EXTENDED_HEADER_BYTES_MAX = 64_000;
/** Headers, padding and the two empty blocks at the end, in addition to the files. */
const OVERHEAD_BYTES_MAX = 1_000_000;
/** Entries for the folder itself: `./`, `pump/` or both. */
const FOLDERS_MAX = 4;

/** A file of a package: `model.onnx`, `./model.onnx`, `pump/model.onnx` or `./pump/model.onnx`. */
const filePattern = /^(?:\.\/)?(?:([^/]+)\/)?([^/]+)$/;
const folderPattern = /^(?:\.\/?|(?:\.\/)?[^/]+\/?)$/;

/**
 * Unpacks an archive into one folder. The name of an entry selects a file of the package and never a path to write to.
 *
 * Only plain files are accepted, each once, at the top or in one folder. Sizes are limited during unpacking, not by the
 * sizes in the headers.
 *
 * @param archive Path of the archive, with or without gzip.
 * @param folder The target; the files must not exist yet.
 * @returns The names of the files.
 * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large'.
 */
export async function unpackArchive(
  archive: string,
  folder: string,
  limits: PackageLimits,
): Promise<readonly string[]> {
  await using unpacking = new Unpacking(folder, limits);
  try {
    for await (const chunk of tarBytes(archive)) await unpacking.take(chunk);
    return await unpacking.end();
  } catch (error) {
    if (error instanceof OperatingError || isOfFileSystem(error)) throw error;
    throw invalid(`The archive is damaged: ${errorMessage(error)}`, error);
  }
}

/** Removes one layer of gzip; an archive that is compressed twice is refused. */
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

/** A tar parser that is fed chunk by chunk. The content of a chunk is on disk before the next chunk is parsed. */
class Unpacking implements AsyncDisposable {
  readonly #folder: string;
  readonly #limits: PackageLimits;
  readonly #parser: Parser;
  readonly #found = new Set<string>();
  readonly #pending: (() => Promise<void>)[] = [];
  #topFolder: string | undefined;
  #folders = 0;
  #bytes = 0;
  #atEnd = false;
  #failure: Error | undefined;
  #file: FileHandle | undefined;

  constructor(folder: string, limits: PackageLimits) {
    this.#folder = folder;
    this.#limits = limits;
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
    const bytesMax = packageBytesMax(this.#limits) + OVERHEAD_BYTES_MAX;
    if (this.#bytes > bytesMax)
      throw registryFailure(
        'model-package-too-large',
        `The archive unpacks to more than ${formatByteSize(bytesMax)}, the limit by models.maxModelSize`,
      );
    // Padding follows the end; the parser would keep all of it in memory.
    if (this.#atEnd) return;
    if (this.#bytes === chunk.length && chunk.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC))
      throw invalid('The archive is compressed twice');
    this.#parser.write(chunk);
    await this.#flush();
  }

  async end(): Promise<readonly string[]> {
    this.#parser.end();
    await this.#flush();
    return [...this.#found];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
  }

  /** Writes in order what the parser found. The first fault ends the unpacking. */
  async #flush(): Promise<void> {
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

  /** Returns the name of a file of the package; undefined for a folder or a refused entry. */
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
    if (this.#found.has(name)) this.#fail(invalid(`The archive contains ${name} twice`));
    if (folder !== (this.#topFolder ??= folder))
      this.#fail(invalid(`The archive contains files in two folders, '${this.#topFolder}' and '${folder}'`));
    const bytesMax = fileBytesMax(this.#limits, name);
    if (entry.size > bytesMax)
      this.#fail(
        registryFailure(
          'model-package-too-large',
          `${name} has ${formatByteSize(entry.size)} in the archive, more than the ${formatByteSize(bytesMax)} allowed`,
        ),
      );
    this.#found.add(name);
    const filesMax = packageFilesMax(this.#limits);
    if (this.#found.size > filesMax)
      this.#fail(invalid(`The archive has more than ${filesMax} files, the limit for a package`));
    return name;
  }
}

function unknownEntry({ type, path }: ReadEntry): OperatingError {
  const shown = JSON.stringify(path.slice(0, 100));
  return invalid(
    `The archive contains ${shown} (${type}). Expected plain files, such as model.onnx and model.yaml, at the top or in one folder`,
  );
}

function invalid(message: string, cause?: unknown): OperatingError {
  return registryFailure('model-package-invalid', message, { cause });
}

/** A full disk is not a fault of the archive. */
function isOfFileSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
