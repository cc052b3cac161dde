import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type FuzzRequest, FuzzRequests } from './fuzz-requests.ts';
import type { FuzzServerReport } from './fuzz-server.ts';

export type FuzzReport = {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Answers by status; 'closed' if a malformed request got none. */
  readonly answers: Readonly<Record<string, number>>;
  /** Well-framed requests without an answer, 5xx without a known reason, errors that are not the protocol's. */
  readonly faults: readonly string[];
  readonly inferences: number;
  /** Written by the decoder. */
  readonly tokens: number;
  readonly loopDelayMsP99: number;
  readonly loopDelayMsMax: number;
  readonly residentBytesGrowth: number;
};

/** Invariants for any number of requests. */
export const fuzzBounds = { loopDelayMsP99: 50, residentBytesGrowth: 16 * 1_048_576 } as const;

const CONNECTIONS = 8;
const FAULTS_MAX = 20;

/** Why a 5xx may come: each says what to do. */
const EXPLAINED = /wait|in progress|not ready|is loading|inference host|could not be read or answered|output/i;

/**
 * Sends hostile requests over sockets to a server in a process of its own.
 *
 * @param warmUp Requests before the memory is first looked at: code is compiled and pools are filled by them.
 */
export async function fuzzV2(options: {
  readonly seed: number;
  readonly requests: number;
  readonly warmUp: number;
  readonly onProgress?: (done: number) => void;
}): Promise<FuzzReport> {
  const entry = new URL('./fuzz-server.ts', import.meta.url);
  // The flag with which the model server is started. Without it the young generation grows by 100 MB and does not shrink.
  const execArgv = ['--expose-gc', '--max-semi-space-size=8'];
  const child = fork(entry, { execArgv, env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' } });
  const nextReport = async (): Promise<FuzzServerReport> => {
    const [report] = (await once(child, 'message', { signal: AbortSignal.timeout(240_000) })) as [FuzzServerReport];
    return report;
  };
  const asked = async (): Promise<FuzzServerReport> => {
    child.send('report');
    return nextReport();
  };
  try {
    const { url }: Pick<FuzzServerReport, 'url'> = await nextReport();
    const run = new FuzzRun(url, new FuzzRequests(options.seed), options.onProgress);
    await run.send(options.warmUp);
    const before = await asked();
    const startedMs = performance.now();
    await run.send(options.requests);
    const tookS = (performance.now() - startedMs) / 1000;
    const after = await asked();
    return {
      requests: options.requests,
      requestsPerSecond: options.requests / tookS,
      answers: run.answers,
      faults: run.faults,
      inferences: after.inferences,
      tokens: after.tokens,
      loopDelayMsP99: after.loopDelayMsP99,
      loopDelayMsMax: after.loopDelayMsMax,
      residentBytesGrowth: after.residentBytes - before.residentBytes,
    };
  } finally {
    const gone = once(child, 'exit');
    if (child.connected) child.disconnect();
    else child.kill('SIGKILL');
    await gone;
  }
}

class FuzzRun {
  readonly answers: Record<string, number> = {};
  readonly faults: string[] = [];
  readonly #port: number;
  readonly #requests: FuzzRequests;
  readonly #onProgress: ((done: number) => void) | undefined;
  #done = 0;
  #left = 0;

  constructor(url: string, requests: FuzzRequests, onProgress: ((done: number) => void) | undefined) {
    this.#port = Number(new URL(url).port);
    this.#requests = requests;
    this.#onProgress = onProgress;
  }

  async send(count: number): Promise<void> {
    this.#left = count;
    await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#work()));
  }

  async #work(): Promise<void> {
    let connection: Connection | undefined;
    while (this.#left > 0) {
      this.#left -= 1;
      const request = this.#requests.next();
      connection ??= await Connection.open(this.#port);
      const answer = await connection.ask(request);
      this.#judge(request, answer);
      if (!request.framed || connection.ended) {
        connection.close();
        connection = undefined;
      }
      this.#done += 1;
      if (this.#done % 10_000 === 0) this.#onProgress?.(this.#done);
    }
    connection?.close();
  }

  #judge(request: FuzzRequest, answer: Answer | undefined): void {
    const status = answer === undefined ? 'closed' : String(answer.status);
    this.answers[status] = (this.answers[status] ?? 0) + 1;
    const fault = faultOf(request, answer);
    if (fault === undefined || this.faults.length >= FAULTS_MAX) return;
    this.faults.push(`${fault}: ${request.bytes.toString('latin1').slice(0, 600)}`);
  }
}

function faultOf(request: FuzzRequest, answer: Answer | undefined): string | undefined {
  if (answer === undefined) return request.framed ? 'no answer' : undefined;
  if (answer.status < 400) return answer.isStream && request.leaves !== true ? streamFault(answer.body) : undefined;
  if (!request.framed || answer.body === '') return undefined;
  if (!/^\{"(error|name|ready)":/.test(answer.body))
    return `${answer.status} is not an error with a message: ${answer.body}`;
  if (answer.status >= 500 && !EXPLAINED.test(answer.body)) return `${answer.status} ${answer.body}`;
  return undefined;
}

/** A stream says why it ended, or what went wrong. */
function streamFault(body: string): string | undefined {
  if (/"finish_reason":"(end_token|max_tokens|model_limit)","token_count":\d+\}\n\n$/.test(body)) return undefined;
  const error = /"error":".*"\}\n\n$/.exec(body)?.[0];
  return error !== undefined && EXPLAINED.test(error) ? undefined : `a stream ended with ${body.slice(-300)}`;
}

type Answer = { readonly status: number; readonly body: string; readonly isStream: boolean };

/** One connection, one request at a time; reads no more of HTTP than the server writes. */
class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #settle: ((answer: Answer | undefined) => void) | undefined;
  #isHead = false;
  #leaves = false;
  ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => {
      this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
      this.#read();
    });
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Connection(socket);
  }

  /** @returns undefined if the connection was closed without an answer. */
  ask({ bytes, framed, leaves }: FuzzRequest): Promise<Answer | undefined> {
    this.#isHead = bytes.subarray(0, 5).toString('latin1') === 'HEAD ';
    this.#leaves = leaves === true;
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (this.ended) return this.#end();
      this.#socket.write(bytes);
      // A frame that promises more than comes would be waited for.
      if (!framed) this.#socket.end();
    });
  }

  close(): void {
    this.ended = true;
    this.#socket.destroy();
  }

  #read(): void {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#received.toString('latin1', 0, end);
    const isStream = /transfer-encoding: chunked/i.test(head);
    const body = isStream ? this.#chunks(end + 4) : this.#body(head, end + 4);
    if (body === undefined) return;
    this.#received = Buffer.alloc(0);
    if (/connection: close/i.test(head)) this.ended = true;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ status: Number(head.slice(9, 12)), body, isStream });
  }

  /** @returns undefined if it is incomplete; '' if it is compressed. */
  #body(head: string, start: number): string | undefined {
    const length = this.#isHead ? 0 : Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#received.length < start + length) return undefined;
    if (/content-encoding/i.test(head)) return '';
    return this.#received.toString('utf8', start, start + Math.min(length, 400));
  }

  #chunks(start: number): string | undefined {
    const text = this.#received.toString('utf8', start);
    if (this.#leaves) {
      this.close();
      return text;
    }
    return text.endsWith('\r\n0\r\n\r\n') ? text.replaceAll(/(^|\r\n)[0-9a-f]+\r\n/g, '').slice(0, -2) : undefined;
  }

  #end(): void {
    this.ended = true;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(undefined);
  }
}
