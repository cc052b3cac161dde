import { formatByteSize } from '../../domain/byte-size.ts';
import type { Deps } from '../../platform/deps.ts';
import { memoryBudget } from '../v2/memory-budget.ts';
import { v2Failure } from '../v2/v2-errors.ts';
import { v2Metrics } from '../v2/v2-metrics.ts';
import type { GenerationConfig } from './generation-config.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';

/**
 * Bounds the number of generations in progress and the memory of their caches together.
 *
 * @returns Takes a place for the bytes of the largest step, and returns a function that releases it once. It throws
 *   'generate-busy' (retry) if there is no place now, 'infer-request-invalid' if there can never be one.
 */
export function generationPlaces({ maxConcurrent, maxMemoryBytes }: GenerationConfig, deps: Deps) {
  const { andon_http_generations: places, andon_http_generation_bytes: bytesGauge } = deps.metrics.of(v2Metrics);
  const takeMemory = memoryBudget(maxMemoryBytes, bytesGauge, (used) =>
    v2Failure('generate-busy', `Generations in progress use ${used} (serving.generation.maxMemory)`),
  );
  let taken = 0;
  return (bytes: number): (() => void) => {
    if (bytes > maxMemoryBytes)
      throw malformed(
        `A step of this generation needs ${formatByteSize(bytes)}, more than serving.generation.maxMemory (${formatByteSize(maxMemoryBytes)}); send a shorter prompt or a smaller 'max_tokens'`,
      );
    if (taken >= maxConcurrent)
      throw v2Failure(
        'generate-busy',
        `${taken} generations are in progress already (serving.generation.maxConcurrent)`,
      );
    const release = takeMemory(bytes);
    places.set((taken += 1));
    let held = 1;
    return () => {
      release();
      places.set((taken -= held));
      held = 0;
    };
  };
}
