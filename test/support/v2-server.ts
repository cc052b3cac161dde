import type { AlarmDesk } from '../../src/contracts/alarm-desk.ts';
import type { InferenceHost } from '../../src/contracts/inference.ts';
import { LiveEvents } from '../../src/contracts/live-events.ts';
import type { RecordStore } from '../../src/contracts/record-store.ts';
import type { TrialBoard } from '../../src/contracts/trial-board.ts';
import type { WatchBoard } from '../../src/contracts/watch-board.ts';
import { httpConfigSchema } from '../../src/http/http-config.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { testDeps } from './test-deps.ts';

/** The agent's endpoint on a free port with nothing behind it but models. */
export class V2Server implements AsyncDisposable {
  readonly url: string;
  readonly deps: Deps;
  readonly #server: HttpServer;

  private constructor(server: HttpServer, deps: Deps) {
    this.#server = server;
    this.deps = deps;
    this.url = server.url ?? '';
  }

  static async start(
    inference: InferenceHost,
    settings: Readonly<Record<string, unknown>> = {},
    deps = testDeps(),
  ): Promise<V2Server> {
    const server = new HttpServer({
      config: httpConfigSchema.parse({ listen: '127.0.0.1:0', ...settings }),
      identity: { agentId: 'edge', version: '1.2.3' },
      inference,
      events: new LiveEvents(),
      codecEntry: new URL('../../src/hosts/tensor-codec.ts', import.meta.url),
      deps,
      history: undefined,
      // Nothing under /v2 asks for these.
      alarms: {} as AlarmDesk,
      board: {} as WatchBoard,
      trials: {} as TrialBoard,
      records: {} as RecordStore,
    });
    await server.start();
    return new V2Server(server, deps);
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(this.url + path, { headers });
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const bytes = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body);
    return fetch(this.url + path, { method: 'POST', body: bytes, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
