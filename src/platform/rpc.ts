import type { Clock, Timer } from './clock.ts';
import { Deadlines } from './deadlines.ts';
import { errorCode, errorMessage, OperatingError } from './errors.ts';

/** Protocol of a thread or child process: parameters and result of each method. */
export type RpcProtocol = Readonly<Record<string, { readonly params: unknown; readonly result: unknown }>>;

/** One end of a message channel: the MessagePort of a worker, or a child process. */
export interface RpcPort {
  /** @param moved Memory that is transferred instead of copied. A channel between processes copies it anyway. */
  post(message: unknown, moved?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
}

type Request = { readonly id: number; readonly method: string; readonly params: unknown };
type Reply =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: WireError };
type WireError = { readonly code: string; readonly disposition: 'retry' | 'reject'; readonly message: string };

/** Client end. Each call settles exactly once: by the reply, the deadline, or `close`. */
export class RpcClient<P extends RpcProtocol> {
  readonly #port: RpcPort;
  readonly #deadlines: Deadlines;
  readonly #pending = new Map<number, PendingCall>();
  #nextId = 1;
  #closed: OperatingError | undefined;

  constructor(port: RpcPort, clock: Clock) {
    this.#port = port;
    this.#deadlines = new Deadlines(clock);
    // The peer is andon's own code, so its messages are those of `serveRpc`.
    port.onMessage((message) => {
      if (!isRequest(message)) this.#settle(message as Reply);
    });
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * @param timeoutMs Longest wait for the reply; undefined waits until `close`.
   * @param moved Memory in `params` to transfer. It cannot be used here afterwards.
   * @throws {OperatingError} The error of the peer, 'rpc-timeout' (retry), or the argument of `close`.
   */
  call<M extends keyof P & string>(
    method: M,
    params: P[M]['params'],
    timeoutMs?: number,
    moved?: readonly ArrayBuffer[],
  ): Promise<P[M]['result']> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined ? undefined : this.#deadlines.set(() => this.#expire(id, method, timeoutMs), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      try {
        this.#port.post({ id, method, params } satisfies Request, moved);
      } catch (error) {
        this.#take(id)?.reject(new OperatingError('rpc-closed', 'retry', errorMessage(error), { cause: error }));
      }
    });
  }

  /** Fails every pending and future call with `reason`. Call it when the peer is gone. */
  close(reason: OperatingError): void {
    this.#closed ??= reason;
    for (const id of this.#pending.keys()) this.#take(id)?.reject(reason);
  }

  #expire(id: number, method: string, timeoutMs: number): void {
    this.#take(id)?.reject(
      new OperatingError('rpc-timeout', 'retry', `No reply to '${method}' within ${timeoutMs} ms`),
    );
  }

  #settle(reply: Reply): void {
    const call = this.#take(reply.id);
    if (reply.ok) call?.resolve(reply.result);
    else call?.reject(new OperatingError(reply.error.code, reply.error.disposition, reply.error.message));
  }

  #take(id: number): PendingCall | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    call?.timer?.cancel();
    return call;
  }
}

type PendingCall = {
  resolve(result: unknown): void;
  reject(error: OperatingError): void;
  readonly timer: Timer | undefined;
};

/** A result with memory that is transferred instead of copied. It cannot be used by the handler afterwards. */
export class Moved<T> {
  readonly result: T;
  readonly buffers: readonly ArrayBuffer[];

  constructor(result: T, buffers: readonly ArrayBuffer[]) {
    this.result = result;
    this.buffers = buffers;
  }
}

type Handled<T> = T | Moved<T>;

export type RpcHandlers<P extends RpcProtocol> = {
  readonly [M in keyof P & string]: (
    params: P[M]['params'],
  ) => Handled<P[M]['result']> | Promise<Handled<P[M]['result']>>;
};

/** Server end, with one handler for each method. The error of a handler is returned with its code and disposition. */
export function serveRpc<P extends RpcProtocol>(port: RpcPort, handlers: RpcHandlers<P>): void {
  port.onMessage((message) => {
    if (isRequest(message)) void answer(port, handlers, message);
  });
}

/** Both ends of a channel may be client and server. */
function isRequest(message: unknown): message is Request {
  return typeof message === 'object' && message !== null && 'method' in message;
}

async function answer<P extends RpcProtocol>(port: RpcPort, handlers: RpcHandlers<P>, request: Request): Promise<void> {
  const { reply, moved } = await replyTo(handlers, request);
  try {
    port.post(reply, moved);
  } catch {
    // The channel is closed, so there is no caller left.
  }
}

async function replyTo<P extends RpcProtocol>(
  handlers: RpcHandlers<P>,
  { id, method, params }: Request,
): Promise<{ readonly reply: Reply; readonly moved?: readonly ArrayBuffer[] }> {
  try {
    const handler = handlers[method];
    if (handler === undefined) throw new OperatingError('rpc-unknown-method', 'reject', `No method '${method}'`);
    const result = await handler(params);
    if (!(result instanceof Moved)) return { reply: { id, ok: true, result } };
    return { reply: { id, ok: true, result: result.result }, moved: result.buffers };
  } catch (error) {
    return { reply: { id, ok: false, error: wireError(error) } };
  }
}

function wireError(error: unknown): WireError {
  const disposition = error instanceof OperatingError ? error.disposition : 'reject';
  return { code: errorCode(error), disposition, message: errorMessage(error) };
}
