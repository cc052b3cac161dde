import type { ModelStatistics, RunPriority, Tensors } from '../../contracts/inference.ts';
import type { Deps } from '../../platform/deps.ts';
import { invariant } from '../../platform/errors.ts';
import { batchSize } from '../../models/checks/batch-rows.ts';
import { rowShape } from '../../models/checks/golden.ts';
import type { Batching } from '../../contracts/model-session.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { inferenceMetrics } from './inference-metrics.ts';
import { ModelCounts } from './model-counts.ts';
import type { RunRequest } from './run-requests.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { type Serving, servingOf } from '../../models/store/serving.ts';

/** Limits of the version that is ready, and counts of what it has done. */
export class ModelUse implements Disposable {
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

  /** Call when a version becomes ready, for the first time or again. */
  begin(stored: StoredModel, batching: Batching): void {
    this.#name = stored.name;
    this.#serving = servingOf(this.#config, stored.manifest);
    this.#batching = batching;
    if (this.#counts?.version === stored.version) return;
    this.#counts?.[Symbol.dispose]();
    this.#counts = new ModelCounts(stored, this.#deps.clock, this.#deps.metrics);
  }

  /** @throws {InvariantError} Before the model was ready for the first time. */
  get serving(): Serving {
    invariant(this.#serving !== undefined, `model '${this.#label}' was ready before it was run`);
    return this.#serving;
  }

  statistics(): ModelStatistics | undefined {
    return this.#counts?.statistics();
  }

  /**
   * Returns the rows of a request, and the key that requests share which can run as one batch.
   *
   * @throws {OperatingError} 'model-input-invalid' if a client sends more rows than one run may have.
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

  /** One run succeeded for all these requests. */
  noteExecuted(requests: readonly RunRequest[], startedMs: number, runMs: number): void {
    this.#counts?.succeeded(requests, startedMs, runMs);
    if (requests[0]?.priority === 'watch') return;
    const rows = requests.reduce((sum, request) => sum + request.rows, 0);
    this.#batchRows.observe({ model: this.#label }, rows);
  }

  /** @param queuedMs Monotonic time of the request. */
  noteFailed(queuedMs: number): void {
    this.#counts?.failed(queuedMs);
  }

  [Symbol.dispose](): void {
    this.#counts?.[Symbol.dispose]();
  }
}
