import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExactModel, InstallRequest, PackageSource } from '../../contracts/model-registry.ts';
import { formatByteSize } from '../../domain/byte-size.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import { isFileName } from '../../models/signing/file-name.ts';
import { readManifestAside } from '../../models/store/manifest-process.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorMessage, formatConfigProblem } from '../../platform/errors.ts';
import { plainFilePieces } from '../../platform/plain-file.ts';
import { download, shownUrl } from './package-download.ts';
import { fileBytesMax, packageBytesMax, packageFilesMax, type PackageLimits, packageLimits } from './package-files.ts';

/** Minimum number of bytes between two progress reports. */
const PROGRESS_BYTES = 1_000_000;

export type ReceivedPackage = {
  /** Entries of a source folder that are not part of a package: folders, hidden files, invalid names. */
  readonly leftOut: readonly string[];
  /** Undefined for a folder. */
  readonly archiveSha256: string | undefined;
};

/** Returns the origin of a package for the audit log. */
export function packageOrigin(source: PackageSource): Readonly<Record<string, string>> {
  if (source.kind === 'folder') return { folder: source.path };
  const url = source.kind === 'url' ? URL.parse(source.url) : null;
  return url === null ? {} : { url: shownUrl(url) };
}

/**
 * Copies or unpacks the files of a package into a folder, as plain files, and syncs them to disk.
 *
 * @param options.folder The target, empty.
 * @param options.scratch A folder for the archive.
 * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large' (reject), 'model-download-failed' (retry).
 */
export async function receivePackage(
  request: InstallRequest,
  options: {
    readonly folder: string;
    readonly scratch: string;
    readonly config: ModelsConfig;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<ReceivedPackage> {
  const { source, sha256, onProgress = () => undefined } = request;
  const { folder, scratch, config, clock, signal } = options;
  const limits = packageLimits(config.maxModelSizeBytes);
  if (source.kind === 'folder') {
    if (sha256 !== undefined)
      throw invalid('A SHA-256 was given, but the package is a folder. Only an archive has a SHA-256');
    return { leftOut: await copyFolder(source.path, folder, limits), archiveSha256: undefined };
  }
  const archive = join(scratch, 'archive');
  const { bytes, bytesTotal } =
    source.kind === 'url'
      ? await download(source, {
          deadlineMs: config.receiveDeadlineMs,
          allowsPrivate: config.privateDownloads,
          tls: config.tls,
          clock,
          signal,
        })
      : { bytes: uploaded(source.bytes), bytesTotal: undefined };
  const digest = await store(bytes, archive, packageBytesMax(limits), (received) =>
    onProgress({ stage: 'receiving', bytes: received, bytesTotal }),
  );
  if (sha256 !== undefined && sha256.toLowerCase() !== digest)
    throw invalid(`The archive has SHA-256 ${digest}, expected ${sha256}`);
  // Loads a library that an agent needs for archives only.
  const { unpackArchive } = await import('./package-archive.ts');
  checkHasManifest(await unpackArchive(archive, folder, limits), 'The archive');
  return { leftOut: [], archiveSha256: digest };
}

/**
 * Reads name and version from the model.yaml of a package.
 *
 * @throws {OperatingError} 'model-package-invalid' with every problem of the file and its line, or if the graph is
 *   missing.
 */
export async function packageIdentity(folder: string): Promise<ExactModel> {
  const text = await readFile(join(folder, 'model.yaml'), 'utf8');
  const { manifest, problems } = await readManifestAside({ file: 'model.yaml', text, expected: undefined });
  if (manifest === undefined) throw invalid(problems.map((problem) => formatConfigProblem(problem)).join('\n'));
  const hasGraph = (await entriesIn(folder)).some(({ name }) => name === 'model.onnx');
  if (hasGraph && manifest.runtime === 'remote')
    throw invalid('The package has a model.onnx, but its model.yaml has `runtime: remote`');
  if (!hasGraph && manifest.runtime === 'local')
    throw invalid('The package has no model.onnx. Only a package with `runtime: remote` may lack it');
  return { name: manifest.name, version: manifest.version };
}

/** A broken upload is not an error of the model directory. */
async function* uploaded(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw registryFailure('model-download-failed', `The archive could not be read to its end: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Writes the archive and returns its SHA-256. */
async function store(
  bytes: AsyncIterable<Uint8Array>,
  path: string,
  bytesMax: number,
  onBytes: (received: number) => void,
): Promise<string> {
  const hash = createHash('sha256');
  let received = 0;
  let reported = 0;
  await using file = await open(path, 'wx');
  for await (const chunk of bytes) {
    received += chunk.length;
    if (received > bytesMax)
      throw tooLarge(`The archive has more than ${formatByteSize(bytesMax)}, the limit by models.maxModelSize`);
    hash.update(chunk);
    await file.appendFile(chunk);
    if (received - reported < PROGRESS_BYTES) continue;
    reported = received;
    onBytes(received);
  }
  if (received === 0) throw invalid('The archive is empty: 0 bytes were received');
  return hash.digest('hex');
}

/** Copies the files of a package. @returns The names of the other entries. */
async function copyFolder(from: string, to: string, limits: PackageLimits): Promise<readonly string[]> {
  const entries = await entriesIn(from);
  const isPart = (entry: Dirent): boolean => isFileName(entry.name) && !entry.isDirectory();
  const files = entries.filter(isPart).map(({ name }) => name);
  checkHasManifest(files, from);
  const filesMax = packageFilesMax(limits);
  if (files.length > filesMax)
    throw invalid(`${from} has ${files.length} files, but a package has at most ${filesMax}`);
  for (const name of files) await copyFile(join(from, name), join(to, name), fileBytesMax(limits, name));
  return entries
    .filter((entry) => !isPart(entry))
    .map(({ name }) => name)
    .toSorted();
}

async function entriesIn(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw invalid(`${folder} cannot be read: ${errorMessage(error)}`, error);
  }
}

function checkHasManifest(files: readonly string[], where: string): void {
  if (!files.includes('model.yaml')) throw invalid(`${where} has no model.yaml, which every package needs`);
}

async function copyFile(from: string, to: string, bytesMax: number): Promise<void> {
  await using target = await open(to, 'wx');
  let copied = 0;
  for await (const piece of sourcePieces(from)) {
    copied += piece.length;
    if (copied > bytesMax) throw tooLarge(`${from} has more than the ${formatByteSize(bytesMax)} allowed`);
    await target.appendFile(piece);
  }
  await target.sync();
}

async function* sourcePieces(path: string): AsyncGenerator<Buffer> {
  try {
    yield* plainFilePieces(path);
  } catch (error) {
    throw invalid(`${path}: ${errorMessage(error)}`, error);
  }
}

function invalid(message: string, cause?: unknown): Error {
  return registryFailure('model-package-invalid', message, { cause });
}

function tooLarge(message: string): Error {
  return registryFailure('model-package-too-large', message);
}
