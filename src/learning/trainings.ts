import type { ExactModel } from '../contracts/model-registry.ts';
import type {
  ModelTrainings,
  TrainingProgress,
  TrainingRequest,
  TrainingStatus,
} from '../contracts/models/model-trainings.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import { trainingFailure } from '../training/core/training-errors.ts';
import type { TrainedVersion } from './training-job.ts';

/** Ended trainings that are listed. */
const LISTED_MAX = 20;

export type TrainingsOptions = {
  /** The watches of the present configuration. */
  readonly watches: () => ReadonlyMap<string, WatchConfig>;
  readonly registry: { recordTraining(model: ExactModel, actor: string): Promise<void> };
  /** Trains a new version of the watch's model from the history; rejects if `signal` is aborted. */
  readonly train: (
    request: TrainingRequest,
    signal: AbortSignal,
    onProgress: (progress: TrainingProgress) => void,
  ) => Promise<TrainedVersion>;
  readonly deps: Deps;
};

type Training = { status: TrainingStatus; readonly cancelling: AbortController };

/** Trainings that a person starts, and those of watches that learn by themselves: one at a time, in their order. */
export class Trainings implements ModelTrainings, AsyncDisposable {
  readonly #options: TrainingsOptions;
  /** The oldest first. */
  readonly #trainings: Training[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  constructor(options: TrainingsOptions) {
    this.#options = options;
  }

  start(request: TrainingRequest, actor: string): TrainingStatus {
    const present = this.#trainings.find(({ status }) => isPresent(status));
    if (present !== undefined)
      throw trainingFailure(
        'training-busy',
        `The model '${present.status.model}' is being trained for watch '${present.status.watch}'. One training runs at a time`,
      );
    const training = this.#add(request.watch, actor);
    // Its failure is in the status.
    this.#run(training, request).catch(() => undefined);
    return training.status;
  }

  list(): readonly TrainingStatus[] {
    return this.#trainings.map(({ status }) => status).toReversed();
  }

  cancel(id: number): TrainingStatus {
    const training = this.#trainings.find(({ status }) => status.id === id);
    if (training === undefined || !isPresent(training.status))
      throw trainingFailure('training-unknown', `No training ${id} is in progress`);
    this.#change(training, { state: 'cancelled', endedMs: this.#nowMs() });
    training.cancelling.abort();
    return training.status;
  }

  /** Trains for a watch that learns automatically, after the training in progress. @throws {Error} As `trainInProcess`. */
  train(request: TrainingRequest, actor: string, signal: AbortSignal): Promise<TrainedVersion> {
    const training = this.#add(request.watch, actor);
    signal.addEventListener('abort', () => training.cancelling.abort(), { once: true });
    return this.#run(training, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { cancelling } of this.#trainings) cancelling.abort();
    await this.#last;
  }

  #add(watch: string, by: string): Training {
    const model = this.#options.watches().get(watch)?.model.name;
    if (model === undefined) throw trainingFailure('training-watch-unknown', `There is no watch '${watch}'`);
    this.#count += 1;
    const status: TrainingStatus = {
      id: this.#count,
      watch,
      model,
      by,
      state: 'waiting',
      progress: undefined,
      startedMs: this.#nowMs(),
      endedMs: undefined,
      version: undefined,
      warnings: [],
      metrics: {},
      reason: undefined,
    };
    const training = { status, cancelling: new AbortController() };
    this.#trainings.push(training);
    if (this.#trainings.length > LISTED_MAX) this.#trainings.shift();
    return training;
  }

  #run(training: Training, request: TrainingRequest): Promise<TrainedVersion> {
    const running = this.#last.then(() => this.#train(training, request));
    this.#last = running.catch(() => undefined);
    return running;
  }

  async #train(training: Training, request: TrainingRequest): Promise<TrainedVersion> {
    const { train, registry, deps } = this.#options;
    const { signal } = training.cancelling;
    const { watch, model, by } = training.status;
    try {
      signal.throwIfAborted();
      this.#change(training, { state: 'running' });
      deps.log.info({ watch, model, by }, 'Training begins.');
      const trained = await train(request, signal, (progress) => {
        if (training.status.state === 'running') this.#change(training, { progress });
      });
      await registry.recordTraining({ name: model, version: trained.version }, by);
      this.#change(training, { state: 'trained', endedMs: this.#nowMs(), ...trained });
      deps.log.info({ watch, model: `${model}@${trained.version}`, by, ...trained.metrics }, 'A model is trained.');
      return trained;
    } catch (error) {
      const reason = errorMessage(error);
      const state = signal.aborted ? 'cancelled' : 'failed';
      this.#change(training, { state, endedMs: this.#nowMs(), reason: state === 'failed' ? reason : undefined });
      throw error;
    }
  }

  #change(training: Training, change: Partial<TrainingStatus>): void {
    training.status = { ...training.status, ...change };
  }

  #nowMs(): number {
    return Math.round(this.#options.deps.clock.nowMs());
  }
}

function isPresent({ state }: TrainingStatus): boolean {
  return state === 'waiting' || state === 'running';
}
