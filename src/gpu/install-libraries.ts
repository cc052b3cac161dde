import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { commandFailure } from '../app/command-errors.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { CUDA_LIBRARY } from '../runtime/session/onnx-runtime-folder.ts';
import { fileSha256 } from '../platform/sha256.ts';
import type { GpuWheel } from './gpu-wheels.ts';
import { extractLibraries, parseWheelName } from './wheel.ts';

/** Providers of ONNX Runtime, which loads them from its own folder only. */
export const linkedProviders = ['libonnxruntime_providers_shared.so', CUDA_LIBRARY];

export type LibraryInstallation = {
  /** Wheel files, or folders with them. Empty to link libraries that are in `target` already. */
  readonly sources: readonly string[];
  readonly wheels: readonly GpuWheel[];
  /** Version of ONNX Runtime, the name of the folder in `target`. */
  readonly version: string;
  /** Folder for the libraries of all versions, such as /usr/local/lib/andon-gpu. */
  readonly target: string;
  /** Folder of ONNX Runtime's native library. */
  readonly runtimeFolder: string;
  readonly onProgress: (text: string) => void;
};

/**
 * Installs the CUDA libraries from wheel files, without a network: checks each SHA-256, writes the libraries to
 * `<target>/<version>`, and links the providers into the folder of ONNX Runtime. The folder is complete or absent.
 *
 * @returns The folder of the libraries.
 * @throws {OperatingError} 'gpu-wheel-missing' | 'gpu-wheel-refused' (reject), 'gpu-not-installed' (retry).
 */
export async function installLibraries(order: LibraryInstallation): Promise<string> {
  const folder = join(order.target, order.version);
  try {
    if (order.sources.length > 0) await extractAll(order, await findWheels(order), folder);
    else if (!(await exists(join(folder, CUDA_LIBRARY))))
      throw commandFailure(
        'gpu-wheel-missing',
        `${folder} has no libraries for ONNX Runtime ${order.version}. Give the folder with the wheel files; andon gpu wheels lists them`,
      );
    await link(folder, order.runtimeFolder);
    return folder;
  } catch (error) {
    const code = errorCode(error);
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'EIO', 'EEXIST', 'ENOTDIR'].includes(code ?? '')) throw error;
    const remedy = code === 'ENOSPC' || code === 'EDQUOT' ? 'It needs 2.5 GB' : 'Run the command with sudo';
    throw commandFailure('gpu-not-installed', `${errorMessage(error)}. ${remedy}`, { cause: error });
  }
}

/** Returns the file of each wheel of the list, in its order. */
async function findWheels({ sources, wheels }: LibraryInstallation): Promise<readonly string[]> {
  const files = (await Promise.all(sources.map(filesOf))).flat();
  const found = wheels.map(({ name, version }) => ({
    wanted: `${name} ${version}`,
    file: files.find((file) => {
      const parsed = parseWheelName(file);
      return parsed?.name === name && parsed.version === version;
    }),
  }));
  const missing = found.flatMap(({ wanted, file }) => (file === undefined ? [wanted] : []));
  if (missing.length > 0)
    throw commandFailure(
      'gpu-wheel-missing',
      `${sources.join(', ')}: no wheel file of ${missing.join(', ')}. andon gpu wheels lists them with the command that downloads them`,
    );
  return found.flatMap(({ file }) => file ?? []);
}

async function filesOf(source: string): Promise<readonly string[]> {
  const found = await stat(source).catch(() => undefined);
  if (found === undefined) throw commandFailure('gpu-wheel-missing', `${source}: no file or folder has this name`);
  if (!found.isDirectory()) return [source];
  return (await readdir(source)).filter((name) => name.endsWith('.whl')).map((name) => join(source, name));
}

/** A process that runs keeps the libraries that it has loaded, so the folder is replaced as a whole. */
async function extractAll(
  { wheels, onProgress }: LibraryInstallation,
  files: readonly string[],
  folder: string,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(join(dirname(folder), '.new-'));
  try {
    for (const [index, file] of files.entries()) {
      onProgress(`checking and unpacking ${file}`);
      // Another user may change the file between the check and the unpacking, but not this copy.
      const copy = join(staging, 'wheel');
      await copyFile(file, copy);
      checkSum(file, await fileSha256(copy), wheels[index]?.sha256);
      await extractLibraries(copy, staging);
      await rm(copy);
    }
    // The user of the service reads them too.
    await chmod(staging, 0o755);
    await rm(folder, { recursive: true, force: true });
    await rename(staging, folder);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

function checkSum(file: string, actual: string, expected: string | undefined): void {
  if (actual === expected) return;
  throw commandFailure(
    'gpu-wheel-refused',
    `${file} has the SHA-256 ${actual}, expected ${expected ?? ''}. Download it again with the options that andon gpu wheels prints`,
  );
}

async function link(folder: string, runtimeFolder: string): Promise<void> {
  for (const name of linkedProviders) {
    const path = join(runtimeFolder, name);
    await rm(path, { force: true });
    await symlink(join(folder, name), path);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
