import type { Judgement, WindowModels } from '../../src/contracts/window-models.ts';
import type { ModelReference } from '../../src/domain/model/model-reference.ts';
import type { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';

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

/** Falls due at a fixed pace; after a stall, all that is overdue in one turn, as windows do. */
class Pace {
  readonly #hopMs: number;
  readonly #onDue: (number: number) => void;
  readonly #startMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #due = 0;

  constructor(hopMs: number, onDue: (number: number) => void) {
    this.#hopMs = hopMs;
    this.#onDue = onDue;
    this.#schedule();
  }

  get due(): number {
    return this.#due;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    const nextMs = this.#startMs + (this.#due + 1) * this.#hopMs;
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, nextMs - performance.now()));
  }

  #fire(): void {
    while (this.#startMs + (this.#due + 1) * this.#hopMs <= performance.now()) this.#onDue((this.#due += 1));
    this.#schedule();
  }
}

/**
 * Windows of one watch, due at a fixed pace, through the agent's own scheduler; each holds its number in every cell, so that
 * a model which gives the mean gives the number.
 */
export class WatchLoad {
  readonly judgements: Judgement[] = [];
  readonly #inference: WindowModels;
  readonly #pace: Pace;

  constructor(inference: WindowModels, { model, dims }: Shape, hopMs: number) {
    const [, steps = 1, columns = 1] = dims;
    this.#inference = inference;
    inference.onJudged((judgements) => this.judgements.push(...judgements));
    this.#pace = new Pace(hopMs, (number) => {
      const dueMs = performance.now();
      const values = new Float32Array(steps * columns).fill(number);
      const window = { timestampMs: dueMs, values, lastRow: values.slice(-columns), reason: '' };
      inference.judge(model, { watch: 'line', number, window, steps, columns, dueMs, explained: false });
    });
  }

  get due(): number {
    return this.#pace.due;
  }

  /** Windows that no newer one replaced, in order, each with its score or its error. */
  get decided(): readonly { readonly number: number; readonly score: number | string }[] {
    return this.judgements
      .filter(({ outcome }) => outcome !== 'superseded')
      .map((judgement) => ({
        number: judgement.job.number,
        score: judgement.outcome === 'judged' ? judgement.score : judgement.reason,
      }));
  }

  /** No more windows fall due; resolves once all are judged. */
  async stop(): Promise<void> {
    this.#pace.stop();
    await this.#inference.settle();
  }
}

/** Runs that wait for an answer; a machine that is short of time gets no more. */
const RUNS_MAX = 32;

/** Runs for a watch at a fixed pace, each of its number, whether or not the one before has ended. */
export class RunLoad {
  readonly #outcomes: Promise<number | string>[] = [];
  readonly #pace: Pace;

  constructor(inference: SupervisedInferenceHost, { model, dims }: Shape, hopMs: number) {
    const cells = dims.reduce((product, size) => product * size, 1);
    let waiting = 0;
    this.#pace = new Pace(hopMs, () => {
      if (waiting >= RUNS_MAX) return;
      waiting += 1;
      const data = new Float32Array(cells).fill(this.#outcomes.length + 1);
      const run = inference.run(model, { window: { type: 'float32', dims, data } });
      const outcome = run.then(({ outputs }) => Number(outputs['score']?.data[0]), String);
      this.#outcomes.push(outcome.finally(() => (waiting -= 1)));
    });
  }

  /** @returns The score of each run in their order, or why it failed. */
  async stop(): Promise<readonly (number | string)[]> {
    this.#pace.stop();
    return Promise.all(this.#outcomes);
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
