import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';

/** Library of ONNX Runtime that computes on CUDA. Its npm package does not have it; `andon gpu install` adds it. */
export const CUDA_LIBRARY = 'libonnxruntime_providers_cuda.so';

/** Returns the folder with the native library of ONNX Runtime, the only one in which it looks for its providers. */
export function onnxRuntimeFolder(): string {
  return join(packageFolder(), 'bin', 'napi-v6', platform, arch);
}

/** Returns the version of ONNX Runtime that this program runs. */
export function onnxRuntimeVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '';
}

/** Returns the folder of the installed CUDA libraries; undefined if none are linked to the folder of ONNX Runtime. */
export function gpuLibraryFolder(): string | undefined {
  const folder = onnxRuntimeFolder();
  const provider = join(folder, CUDA_LIBRARY);
  if (!existsSync(provider)) return undefined;
  const libraries = dirname(realpathSync(provider));
  return libraries === realpathSync(folder) ? undefined : libraries;
}

function packageFolder(): string {
  return dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
}
