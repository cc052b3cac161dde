import type { ClientInference } from '../../src/contracts/inference.ts';
import { httpConfigSchema } from '../../src/web/http-config.ts';
import { HttpServer } from '../../src/web/http-server.ts';
import { registerV2Routes } from '../../src/serving/v2-routes.ts';
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
    inference: ClientInference,
    settings: Readonly<Record<string, unknown>> = {},
    deps = testDeps(),
  ): Promise<V2Server> {
    const config = httpConfigSchema.parse({ listen: '127.0.0.1:0', ...settings });
    const server = new HttpServer({
      config,
      identity: { agentId: 'edge', version: '1.2.3' },
      receiveDeadlineMs: 0,
      routes: async (app, adminToken) => {
        app.get('/api/v1/openapi.json', () => app.swagger());
        await registerV2Routes(app, {
          inference,
          codecEntry: new URL('../../src/hosts/tensor-codec.ts', import.meta.url),
          version: '1.2.3',
          bodyBytesMax: config.maxBodyBytes,
          generation: config.generation,
          adminToken,
          deps,
        });
      },
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
