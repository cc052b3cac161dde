import type { ModelStatus, ReadyModel, RunResult, Tensors } from '../../src/contracts/inference.ts';
import type { JudgedListener, WindowJob, WindowModels } from '../../src/contracts/window-models.ts';
import { formatModelReference, type ModelReference } from '../../src/domain/model/model-reference.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { Scheduler } from '../../src/runtime/queue/scheduler.ts';
import type { QueuedModel, Worker } from '../../src/runtime/queue/worker.ts';
import { testDeps } from './test-deps.ts';

type FakeModel = QueuedModel & { readonly reference: ModelReference };

/** No model has a host: each run is answered by a function of the test. */
const noWorker: Worker<FakeModel> = {
  jobsMax: () => 0,
  isReady: () => false,
  notReady: () => new OperatingError('model-not-ready', 'retry', 'no host'),
  session: () => undefined,
  passOn: () => undefined,
  do: async () => undefined,
};

/** The agent's own scheduler in front of models that a test answers for. */
export abstract class FakeWindowModels implements WindowModels {
  readonly #models = new Map<string, FakeModel>();
  #onJudged: JudgedListener = () => undefined;
  readonly #scheduler = new Scheduler<FakeModel>({
    worker: noWorker,
    windows: {
      ready: ({ reference }) => this.ready(reference),
      statusOf: ({ reference }) => this.#statusOf(reference),
      run: ({ reference }, inputs) => this.run(reference, inputs),
      onJudged: (judgements) => this.#onJudged(judgements),
    },
    watchRunsMax: 0,
    deps: testDeps(),
  });

  abstract ready(model: ModelReference): ReadyModel | undefined;
  abstract statuses(): readonly ModelStatus[];
  abstract run(model: ModelReference, inputs: Tensors): Promise<RunResult>;

  judge(reference: ModelReference, job: WindowJob): void {
    const label = formatModelReference(reference);
    // No run waits here, so that its limits are not used.
    const model = this.#models.get(label) ?? ({ label, reference } as FakeModel);
    this.#models.set(label, model);
    this.#scheduler.judge(model, job);
  }

  onJudged(listener: JudgedListener): void {
    this.#onJudged = listener;
  }

  settle(): Promise<void> {
    return this.#scheduler.settle();
  }

  #statusOf({ name, version }: ModelReference): ModelStatus {
    const found = this.statuses().find(
      (status) => status.name === name && (version === undefined || status.version === version),
    );
    return found ?? { name, version: 0, state: 'failed', reason: 'not loaded', provider: undefined, fallbacks: [] };
  }
}
