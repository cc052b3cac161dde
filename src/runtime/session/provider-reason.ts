import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process, { platform } from 'node:process';
import type { ExecutionProvider } from '../../contracts/inference.ts';
import { errorMessage } from '../../platform/errors.ts';
import { CUDA_LIBRARY, onnxRuntimeFolder } from './onnx-runtime-folder.ts';

/**
 * Returns the reason why a provider cannot work here, if it can be determined without a try.
 *
 * @returns undefined if no reason is known.
 */
export function providerObstacle(provider: ExecutionProvider): string | undefined {
  if (provider !== 'cuda' || platform !== 'linux' || existsSync(join(onnxRuntimeFolder(), CUDA_LIBRARY)))
    return undefined;
  return `${CUDA_LIBRARY} is not installed in ${onnxRuntimeFolder()}: run sudo andon gpu install`;
}

/** Part of the driver, which comes with the box and not with the CUDA libraries. */
const DRIVER_LIBRARY = 'libcuda.so.1';

/** ONNX Runtime's message for an operator: the first line, without the place in its source code. */
export function providerReason(message: string): string {
  if (message.includes('Failed to get a WebGPU adapter'))
    return 'no WebGPU adapter (no GPU, or no Vulkan driver for it)';
  if (message.includes('Failed to load shared library')) return loaderReason();
  const failure = /CUDA failure (\d+): ([^;\n]+?)\s*;/.exec(message);
  if (failure !== null) return `CUDA error ${failure[1]}: ${failure[2]}`;
  const firstLine = message.split('\n').find((line) => line.trim() !== '') ?? message;
  return firstLine.replace(/^\/\S+\.(?:cc|cpp|h):\d+ .*? was false\. /, '').slice(0, 300);
}

/** ONNX Runtime does not say which library is missing; the loader of the system does. */
function loaderReason(): string {
  try {
    process.dlopen({ exports: {} }, join(onnxRuntimeFolder(), CUDA_LIBRARY));
  } catch (error) {
    // Loaded, it is no module of Node: an error too, which names no library.
    const missing = /(lib\S+): cannot open shared object file/.exec(errorMessage(error))?.[1];
    if (missing === DRIVER_LIBRARY) return `no NVIDIA driver: ${missing} is missing`;
    if (missing !== undefined) return `${missing} is missing: run sudo andon gpu install`;
  }
  return `${CUDA_LIBRARY} cannot be loaded`;
}
