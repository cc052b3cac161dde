import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExactModel, InstallRequest, PackageSource } from '../../contracts/model-registry.ts';
import { formatByteSize } from '../../domain/byte-size.ts';
import type { Clock } from '../../platform/clock.ts';
import { errorCode, errorMessage, formatConfigProblem } from '../../platform/errors.ts';
import { readManifestAside } from '../../models/store/manifest-process.ts';
import { registryFailure } from '../../models/errors/registry-errors.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { unpackArchive } from './package-archive.ts';
import { download, shownUrl } from './package-download.ts';
import type { PackageLimits } from './package-files.ts';
import { fileBytesMax, packageLimits, packageBytesMax, packageFilesMax } from './package-files.ts';
import { isFileName } from '../../models/signing/file-name.ts';

const COPY_CHUNK_BYTES = 1_000_000;
/** Least bytes between two reports of progress. */
const PROGRESS_BYTES = 1_000_000;

export type ReceivedPackage = {
  /** What the folder has besides: folders, hidden files, names that no file of a package may have. */
  readonly leftOut: readonly string[];
  /** Undefined where it came as a folder. */
  readonly archiveSha256: string | undefined;
};

/** Where a package comes from, for the record. */
export function packageOrigin(source: PackageSource): Readonly<Record<string, string>> {
  if (source.kind === 'folder') return { folder: source.path };
  const url = source.kind === 'url' ? URL.parse(source.url) : null;
  return url === null ? {} : { url: shownUrl(url) };
}

/**
 * Brings the files of a package into a folder, as plain files of our own, and on to the disk.
 *
 * @param options.folder Empty; where the files go.
 * @param options.scratch A folder for the archive meanwhile.
 * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large' (reject), 'model-download-failed' (retry).
 */
export async function receivePackage(
  order: InstallRequest,
  options: {
    readonly folder: string;
    readonly scratch: string;
    readonly config: ModelsConfig;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<ReceivedPackage> {
  const { source, sha256, onProgress = () => undefined } = order;
  const { folder, scratch, config, clock, signal } = options;
  const bounds = packageLimits(config.maxModelSizeBytes);
  if (source.kind === 'folder') {
    if (sha256 !== undefined)
      throw registryFailure('model-package-invalid', 'A folder has no SHA-256: it is that of an archive');
    return { leftOut: await copyFolder(source.path, folder, bounds), archiveSha256: undefined };
  }
  const archive = join(scratch, 'archive');
  const deadline = { deadlineMs: config.receiveDeadlineMs, clock, signal };
  const { bytes, bytesTotal } =
    source.kind === 'url' ? await download(source, deadline) : { bytes: given(source.bytes), bytesTotal: undefined };
  const digest = await store(bytes, archive, packageBytesMax(bounds), (received) =>
    onProgress({ stage: 'receiving', bytes: received, bytesTotal }),
  );
  if (sha256 !== undefined && sha256.toLowerCase() !== digest)
    throw registryFailure('model-package-invalid', `The archive has SHA-256 ${digest}, expected ${sha256}`);
  const files = await unpackArchive(archive, folder, bounds);
  checkHasManifest(files, 'The archive');
  return { leftOut: [], archiveSha256: digest };
}

/**
 * Name and version, as the package's own model.yaml has them.
 * @throws {OperatingError} 'model-package-invalid' with every problem of the file, at its line, or where the graph is
 *   missing.
 */
export async function packageIdentity(folder: string): Promise<ExactModel> {
  const text = await readFile(join(folder, 'model.yaml'), 'utf8');
  const { manifest, problems } = await readManifestAside({ file: 'model.yaml', text, expected: undefined });
  if (manifest === undefined)
    throw registryFailure('model-package-invalid', problems.map(formatConfigProblem).join('\n'));
  const graph = (await entriesIn(folder)).some(({ name }) => name === 'model.onnx');
  if (graph !== (manifest.runtime === 'local'))
    throw registryFailure(
      'model-package-invalid',
      graph
        ? 'The package has a model.onnx, but its model.yaml says `runtime: remote`'
        : 'The package has no model.onnx, which every package has but that of a remote model',
    );
  return { name: manifest.name, version: manifest.version };
}

/** A sender that goes away, or a file that cannot be read, is no fault of the model directory. */
async function* given(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw registryFailure('model-download-failed', `The archive cannot be read to its end: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** @returns SHA-256 of the bytes. */
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
      throw registryFailure(
        'model-package-too-large',
        `The archive has more than the ${formatByteSize(bytesMax)} that a package may have (models.maxModelSize)`,
      );
    hash.update(chunk);
    await file.appendFile(chunk);
    if (received - reported < PROGRESS_BYTES) continue;
    reported = received;
    onBytes(received);
  }
  if (received === 0)
    throw registryFailure('model-package-invalid', 'The archive is empty: not one byte of it was sent');
  return hash.digest('hex');
}

/** @returns Names of what is no part of a package. */
async function copyFolder(from: string, to: string, bounds: PackageLimits): Promise<readonly string[]> {
  const entries = await entriesIn(from);
  const isPart = (entry: Dirent): boolean => isFileName(entry.name) && !entry.isDirectory();
  const files = entries.filter(isPart).map(({ name }) => name);
  checkHasManifest(files, from);
  const filesMax = packageFilesMax(bounds);
  if (files.length > filesMax)
    throw registryFailure('model-package-invalid', `${from} has ${files.length} files, a package ${filesMax} at most`);
  for (const name of files) await copyFile(join(from, name), join(to, name), fileBytesMax(bounds, name));
  return entries
    .filter((entry) => !isPart(entry))
    .map(({ name }) => name)
    .toSorted();
}

async function entriesIn(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw registryFailure('model-package-invalid', `${folder} cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function checkHasManifest(files: readonly string[], where: string): void {
  if (!files.includes('model.yaml'))
    throw registryFailure('model-package-invalid', `${where} has no model.yaml, which every package has`);
}

async function copyFile(from: string, to: string, bytesMax: number): Promise<void> {
  await using source = await openPlain(from);
  await using target = await open(to, 'wx');
  const chunk = Buffer.alloc(COPY_CHUNK_BYTES);
  let copied = 0;
  for (;;) {
    const { bytesRead } = await source.read(chunk);
    if (bytesRead === 0) break;
    copied += bytesRead;
    if (copied > bytesMax)
      throw registryFailure('model-package-too-large', `${from} has more than the ${formatByteSize(bytesMax)} allowed`);
    await target.appendFile(chunk.subarray(0, bytesRead));
  }
  await target.sync();
}

/** Follows no link, and does not wait for whoever might write into a pipe. */
async function openPlain(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    if (errorCode(error) !== 'ELOOP')
      throw registryFailure('model-package-invalid', `${path}: ${errorMessage(error)}`, { cause: error });
  }
  throw registryFailure('model-package-invalid', `${path} is not a plain file`);
}
