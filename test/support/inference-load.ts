import type { Judgement, WindowModels } from '../../src/contracts/window-models.ts';
import type { ModelReference } from '../../src/domain/model/model-reference.ts';
import type { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { until } from './onnx-host-harness.ts';

export type ClientAnswer = {
  /** Monotonic times. */
  readonly askedMs: number;
  readonly answeredMs: number;
  /** 0 if the connection broke. */
  readonly status: number;
  readonly retryAfter: string | null;
  /** First value of the first output; undefined if the request failed. */
  readonly value: number | undefined;
  /** Expected value. */
  readonly expected: number;
  readonly error: string;
};

type Shape = { readonly model: ModelReference; readonly dims: readonly number[] };

/** Work that is given until it is stopped. */
type Load = {
  /** Number of runs, windows or requests that have an outcome. */
  readonly ended: number;
};

/** Resolves once each load has `count` more outcomes: a slow machine takes longer and proves as much. */
export async function endedMore(loads: readonly Load[], count: number): Promise<void> {
  const goals = loads.map((load) => load.ended + count);
  await until(
    () => loads.every((load, index) => load.ended >= (goals[index] ?? 0)),
    () => JSON.stringify(loads.map((load, index) => `${load.ended} of ${goals[index]}`)),
  );
}

/**
 * Windows of one watch, through the agent's own scheduler; each holds its number in every cell, so that a model which gives
 * the mean gives the number.
 */
export class WatchLoad {
  readonly judgements: Judgement[] = [];
  readonly #inference: WindowModels;
  readonly #shape: Shape;
  readonly #hopMs: number;
  readonly #startMs = performance.now();
  #due = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param hop.after 'window': windows fall due at a fixed pace as in a plant, after a stall all that are overdue in one turn;
   *   newer ones may supersede one that waits. 'judgement': the next falls due `ms` after the one before was judged, so that
   *   none may be superseded.
   */
  constructor(
    inference: WindowModels,
    shape: Shape,
    hop: { readonly ms: number; readonly after: 'window' | 'judgement' },
  ) {
    this.#inference = inference;
    this.#shape = shape;
    this.#hopMs = hop.ms;
    inference.onJudged((judgements) => {
      this.judgements.push(...judgements);
      if (hop.after === 'judgement') this.#schedule(hop.ms, () => this.#fallDue());
    });
    if (hop.after === 'window') this.#schedulePaced();
    else this.#schedule(hop.ms, () => this.#fallDue());
  }

  get due(): number {
    return this.#due;
  }

  get ended(): number {
    return this.judgements.length;
  }

  /** Windows that no newer one replaced, in order, each with its score or its error. */
  get decided(): readonly { readonly number: number; readonly score: number | string | undefined }[] {
    return this.judgements
      .filter(({ outcome }) => outcome !== 'superseded')
      .map((judgement) => ({
        number: judgement.job.number,
        score: judgement.outcome === 'judged' ? judgement.score : judgement.reason,
      }));
  }

  /** No more windows fall due; resolves once all are judged. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#inference.settle();
  }

  #schedule(delayMs: number, callback: () => void): void {
    if (!this.#stopped) this.#timer = setTimeout(callback, Math.max(0, delayMs));
  }

  #schedulePaced(): void {
    const nextMs = () => this.#startMs + (this.#due + 1) * this.#hopMs;
    this.#schedule(nextMs() - performance.now(), () => {
      while (nextMs() <= performance.now()) this.#fallDue();
      this.#schedulePaced();
    });
  }

  #fallDue(): void {
    const { model, dims } = this.#shape;
    const [, steps = 1, columns = 1] = dims;
    const number = (this.#due += 1);
    const dueMs = performance.now();
    const values = new Float32Array(steps * columns).fill(number);
    const window = { timestampMs: dueMs, values, lastRow: values.slice(-columns), reason: undefined };
    this.#inference.judge(model, { watch: 'line', number, window, steps, columns, dueMs, explained: false });
  }
}

/** Runs for a watch, each of its number: several are open at any time, and each one that ends is followed by another. */
export class RunLoad {
  readonly #inference: SupervisedInferenceHost;
  readonly #shape: Shape;
  readonly #pauseMs: number;
  readonly #outcomes: Promise<number | string>[] = [];
  readonly #loops: readonly Promise<void>[];
  #ended = 0;
  #stopped = false;

  /** @param options.pauseMs Between the end of a run and the next. */
  constructor(
    inference: SupervisedInferenceHost,
    shape: Shape,
    options: { readonly open: number; readonly pauseMs: number },
  ) {
    this.#inference = inference;
    this.#shape = shape;
    this.#pauseMs = options.pauseMs;
    this.#loops = Array.from({ length: options.open }, () => this.#run());
  }

  get ended(): number {
    return this.#ended;
  }

  /** @returns The score of each run in their order, or why it failed. */
  async stop(): Promise<readonly (number | string)[]> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    return Promise.all(this.#outcomes);
  }

  async #run(): Promise<void> {
    const { model, dims } = this.#shape;
    const cells = dims.reduce((product, size) => product * size, 1);
    while (!this.#stopped) {
      const data = new Float32Array(cells).fill(this.#outcomes.length + 1);
      const run = this.#inference.run(model, { window: { type: 'float32', dims, data } });
      const outcome = run.then(({ outputs }) => Number(outputs['score']?.data[0]), String);
      this.#outcomes.push(outcome);
      await outcome;
      this.#ended += 1;
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }
}

/** Clients that ask one after the other over HTTP, each as soon as it is answered; each asks for a number of its own. */
export class ClientLoad {
  readonly answers: ClientAnswer[] = [];
  readonly #url: string;
  readonly #dims: readonly number[];
  readonly #clients: readonly Promise<void>[];
  readonly #pauseMs: number;
  #asked = 0;
  #stopped = false;

  /** @param options.url Of the server; `dims` of one request's tensor `window`. */
  constructor(options: {
    readonly url: string;
    readonly model: string;
    readonly dims: readonly number[];
    readonly clients: number;
    /** Between an answer and the next request of a client. */
    readonly pauseMs: number;
    /** Input value. Default: the number of the request. */
    readonly value?: number;
  }) {
    this.#url = `${options.url}/v2/models/${options.model}/infer`;
    this.#dims = options.dims;
    this.#pauseMs = options.pauseMs;
    this.#clients = Array.from({ length: options.clients }, () => this.#ask(options.value));
  }

  get ended(): number {
    return this.answers.length;
  }

  get failed(): readonly ClientAnswer[] {
    return this.answers.filter(({ status }) => status !== 200);
  }

  get wrong(): readonly ClientAnswer[] {
    return this.answers.filter(({ status, value, expected }) => status === 200 && value !== expected);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #ask(value: number | undefined): Promise<void> {
    while (!this.#stopped) {
      const expected = value ?? (this.#asked += 1);
      this.answers.push(await infer(this.#url, this.#dims, expected));
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }
}

async function infer(url: string, dims: readonly number[], expected: number): Promise<ClientAnswer> {
  const askedMs = performance.now();
  const data = Array.from({ length: dims.reduce((product, size) => product * size, 1) }, () => expected);
  const body = JSON.stringify({ inputs: [{ name: 'window', datatype: 'FP32', shape: dims, data }] });
  try {
    const answer = await fetch(url, { method: 'POST', body });
    const json = (await answer.json()) as {
      readonly outputs?: readonly { readonly data: readonly number[] }[];
      readonly error?: string;
    };
    return {
      askedMs,
      answeredMs: performance.now(),
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      value: json.outputs?.[0]?.data[0],
      expected,
      error: json.error ?? '',
    };
  } catch (error) {
    return {
      askedMs,
      answeredMs: performance.now(),
      status: 0,
      retryAfter: null,
      value: undefined,
      expected,
      error: String(error),
    };
  }
}
