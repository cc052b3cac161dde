import { formatByteSize } from '../../domain/byte-size.ts';
import type { Deps } from '../../platform/deps.ts';
import type { GenerationConfig } from './generation-config.ts';
import { invalid, v2Failure } from '../v2/v2-errors.ts';
import { v2Metrics } from '../v2/v2-metrics.ts';

/** Bounds the number of generations in progress and the memory of their caches together. */
export class GenerationPlaces {
  readonly #limits: GenerationConfig;
  readonly #metrics;
  #taken = 0;
  #bytes = 0;

  constructor(limits: GenerationConfig, deps: Deps) {
    this.#limits = limits;
    this.#metrics = deps.metrics.of(v2Metrics);
  }

  /**
   * @param bytes Memory of its largest step.
   * @returns Releases the place. Further calls have no effect.
   * @throws {OperatingError} 'generate-busy' (retry) if there is no place now; 'infer-request-invalid' if it can never fit.
   */
  take(bytes: number): () => void {
    const { maxConcurrent, maxMemoryBytes } = this.#limits;
    if (bytes > maxMemoryBytes)
      throw invalid(
        `A step of this generation needs ${formatByteSize(bytes)}, more than serving.generation.maxMemory (${formatByteSize(maxMemoryBytes)}); send a shorter prompt or a smaller 'max_tokens'`,
      );
    if (this.#taken >= maxConcurrent)
      throw v2Failure(
        'generate-busy',
        `${this.#taken} generations are in progress already (serving.generation.maxConcurrent)`,
      );
    if (this.#bytes + bytes > maxMemoryBytes)
      throw v2Failure(
        'generate-busy',
        `Generations in progress use ${formatByteSize(this.#bytes)} of ${formatByteSize(maxMemoryBytes)} (serving.generation.maxMemory); ${formatByteSize(bytes)} more do not fit`,
      );
    this.#note(1, bytes);
    let held = true;
    return () => {
      if (held) this.#note(-1, -bytes);
      held = false;
    };
  }

  #note(places: number, bytes: number): void {
    this.#metrics.andon_http_generations.set((this.#taken += places));
    this.#metrics.andon_http_generation_bytes.set((this.#bytes += bytes));
  }
}
