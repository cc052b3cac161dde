import type { ClientInference } from '../../src/contracts/inference.ts';
import { modelServerConfig } from '../../src/serving/serving-config.ts';
import { configSchema } from '../../src/config/config-schema.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { tensorCodecEntry } from '../../src/platform/entries.ts';
import { servingEndpoint } from '../../src/serving/serving-endpoint.ts';
import type { HttpServer } from '../../src/web/http-server.ts';
import { testDeps } from './test-deps.ts';

/** The model server's endpoint on a free port, in this process. */
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
    models: ClientInference,
    settings: Readonly<Record<string, unknown>> = {},
    deps = testDeps(),
  ): Promise<V2Server> {
    const config = configSchema.parse({ agent: { id: 'edge' }, serving: { listen: '127.0.0.1:0', ...settings } });
    const serving = modelServerConfig(config);
    if (serving === undefined) throw new Error('section serving was not read');
    const server = servingEndpoint({
      settings: { agentId: 'edge', version: '1.2.3', serving, localToken: undefined },
      models,
      codecEntry: tensorCodecEntry,
      deps,
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
