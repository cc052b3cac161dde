import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';
import type { ExecutionProvider } from '../../contracts/inference.ts';

const CUDA_LIBRARY = 'libonnxruntime_providers_cuda.so';

/**
 * Returns the reason why a provider cannot work here, if it can be determined without a try.
 *
 * @returns undefined if no reason is known.
 */
export function providerObstacle(provider: ExecutionProvider): string | undefined {
  if (provider !== 'cuda' || platform !== 'linux') return undefined;
  const packageFolder = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
  const folder = join(packageFolder, 'bin', 'napi-v6', platform, arch);
  return existsSync(join(folder, CUDA_LIBRARY)) ? undefined : `${CUDA_LIBRARY} is not installed in ${folder}`;
}

/** ONNX Runtime's message for an operator: the first line, without the place in its source code. */
export function providerReason(message: string): string {
  if (message.includes('Failed to get a WebGPU adapter'))
    return 'no WebGPU adapter (no GPU, or no Vulkan driver for it)';
  const firstLine = message.split('\n').find((line) => line.trim() !== '') ?? message;
  return firstLine.replace(/^\/\S+\.(?:cc|cpp|h):\d+ .*? was false\. /, '').slice(0, 300);
}
