import type { ModelStatistics, RunPriority, Tensors } from '../../contracts/inference.ts';
import type { Deps } from '../../platform/deps.ts';
import { invariant } from '../../platform/errors.ts';
import { batchSize } from '../../models/checks/batch-rows.ts';
import { rowShape } from '../../models/checks/golden.ts';
import type { Batching } from '../../contracts/model-session.ts';
import type { RunRequest } from './run-queue.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from '../queue/inference-metrics.ts';
import { ModelCounts } from '../queue/model-counts.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { Serving } from '../../models/store/serving.ts';
import { servingOf } from '../../models/store/serving.ts';

/** How the version of a model that is ready is asked, and what it has done. */
export class ModelUse implements Disposable {
  /** As its watch names it. */
  readonly #label: string;
  readonly #config: ModelsConfig;
  readonly #deps: Deps;
  readonly #batchRows;
  #name = '';
  #serving: Serving | undefined;
  #batching: Batching = 'none';
  #counts: ModelCounts | undefined;

  constructor(label: string, config: ModelsConfig, deps: Deps) {
    this.#label = label;
    this.#config = config;
    this.#deps = deps;
    this.#batchRows = deps.metrics.of(inferenceMetrics).andon_inference_batch_rows;
  }

  /** It is ready, for the first time or again. */
  begin(stored: StoredModel, batching: Batching): void {
    this.#name = stored.name;
    this.#serving = servingOf(this.#config, stored.manifest);
    this.#batching = batching;
    if (this.#counts?.version === stored.version) return;
    this.#counts?.[Symbol.dispose]();
    this.#counts = new ModelCounts(stored, this.#deps.clock, this.#deps.metrics);
  }

  /** How it is run. Only a model that is ready is run. */
  get serving(): Serving {
    invariant(this.#serving !== undefined, `model '${this.#label}' was ready before it was run`);
    return this.#serving;
  }

  statistics(): ModelStatistics | undefined {
    return this.#counts?.statistics();
  }

  /**
   * How many rows a request has, and with which others it can go as one run.
   *
   * @throws {OperatingError} 'model-input-invalid' where a visitor's are more than one run may have.
   */
  rowsOf(inputs: Tensors, priority: RunPriority): { readonly rows: number; readonly joinKey: string | undefined } {
    const rows = this.#batching === 'none' ? undefined : batchSize(inputs);
    if (rows === undefined || priority === 'watch') return { rows: rows ?? 1, joinKey: undefined };
    const { batchMax } = this.serving;
    if (rows > batchMax)
      throw inferenceFailure(
        'model-input-invalid',
        `${rows} rows at once, but model '${this.#label}' takes ${batchMax}; send fewer, or raise models.limits.${this.#name}.maxBatch`,
      );
    return { rows, joinKey: this.#batching === 'rows' ? rowShape(inputs) : undefined };
  }

  /** A run ended well, for all these requests together. */
  noteExecuted(requests: readonly RunRequest[], startedMs: number, runMs: number): void {
    this.#counts?.executed();
    for (const { rows, queuedMs } of requests) this.#counts?.succeeded({ rows, queuedMs, startedMs, runMs });
    if (requests.some(({ priority }) => priority === 'watch')) return;
    const rows = requests.reduce((sum, request) => sum + request.rows, 0);
    this.#batchRows.observe({ model: this.#label }, rows);
  }

  /** @param queuedMs Monotonic time at which the request was made. */
  noteFailed(queuedMs: number): void {
    this.#counts?.failed(queuedMs);
  }

  [Symbol.dispose](): void {
    this.#counts?.[Symbol.dispose]();
  }
}
