import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { SystemClock } from '../src/platform/clock.ts';
import { OperatingError } from '../src/platform/errors.ts';
import { RpcClient, type RpcHandlers, type RpcProtocol, serveRpc } from '../src/platform/rpc.ts';

/** A process of the bench. Peers of the agent must not share its event loop or its garbage collector. */
export class Peer<P extends RpcProtocol> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #rpc: RpcClient<P>;

  /** @param entry File name in this folder. */
  constructor(entry: string) {
    this.#child = fork(new URL(entry, import.meta.url), { serialization: 'advanced', execArgv: [] });
    this.#rpc = new RpcClient<P>(
      {
        post: (message) => this.#child.send(message as object),
        onMessage: (listener) => this.#child.on('message', listener),
      },
      new SystemClock(),
    );
    this.#child.on('exit', (code, signal) =>
      this.#rpc.close(new OperatingError('bench-peer-ended', 'reject', `${entry} ended: ${String(code ?? signal)}`)),
    );
  }

  call<M extends keyof P & string>(method: M, params: P[M]['params']): Promise<P[M]['result']> {
    return this.#rpc.call(method, params);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/** The other end: responds until the bench disconnects. */
export function servePeer<P extends RpcProtocol>(handlers: RpcHandlers<P>): void {
  process.on('disconnect', () => process.exit(0));
  serveRpc<P>(
    {
      post: (message) => process.send?.(message),
      onMessage: (listener) => process.on('message', listener),
    },
    handlers,
  );
}
