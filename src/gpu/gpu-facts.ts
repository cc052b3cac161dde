import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { arch } from 'node:process';
import { promisify } from 'node:util';
import { packageVersion } from '../platform/package-files.ts';
import { gpuLibraryFolder, onnxRuntimeVersion } from '../runtime/session/onnx-runtime-folder.ts';

const MIB = 1_048_576;
const QUERY_TIMEOUT_MS = 10_000;

/** Facts of the box that the reader of a report needs. */
export type GpuFacts = {
  readonly andon: string;
  readonly onnxRuntime: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly processor: string;
  readonly memoryBytes: number;
  /** First line of the driver's version file; undefined without an NVIDIA driver. */
  readonly driver: string | undefined;
  /** Lines of nvidia-smi: name, driver, memory of each GPU. */
  readonly gpus: readonly string[];
  /** Device files of GPUs that this process can see. */
  readonly devices: readonly string[];
  /** Folder of `andon gpu install`; undefined if no libraries are linked. */
  readonly libraries: string | undefined;
};

export async function gpuFacts(): Promise<GpuFacts> {
  return {
    andon: packageVersion,
    onnxRuntime: onnxRuntimeVersion(),
    kernel: release(),
    architecture: arch,
    processor: cpus()[0]?.model ?? '',
    memoryBytes: totalmem(),
    driver: textOf('/proc/driver/nvidia/version')?.split('\n')[0],
    gpus: await query('--query-gpu=name,driver_version,memory.total'),
    devices: [
      ...namesIn('/dev', /^nvidia/).map((name) => `/dev/${name}`),
      ...namesIn('/dev/dri', /^(?:card|renderD)/).map((name) => `/dev/dri/${name}`),
    ],
    libraries: gpuLibraryFolder(),
  };
}

/** Returns the memory of a process on NVIDIA GPUs; undefined if nvidia-smi does not know it. */
export async function gpuBytesOf(pid: number | undefined): Promise<number | undefined> {
  const lines = await query('--query-compute-apps=pid,used_memory');
  const own = lines.map((line) => line.split(',').map(Number)).filter(([of]) => of === pid);
  return own.length === 0 ? undefined : own.reduce((sum, [, mebibytes = 0]) => sum + mebibytes * MIB, 0);
}

async function query(what: string): Promise<readonly string[]> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', [what, '--format=csv,noheader,nounits'], {
      timeout: QUERY_TIMEOUT_MS,
    });
    return stdout.split('\n').filter((line) => line.trim() !== '');
  } catch {
    // Not installed, or it finds no driver: the provider reports why it cannot work.
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function namesIn(folder: string, pattern: RegExp): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .toSorted();
  } catch {
    return [];
  }
}
