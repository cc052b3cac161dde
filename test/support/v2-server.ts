import type { ClientInference } from '../../src/contracts/inference.ts';
import { modelServerConfig } from '../../src/serving/serving-config.ts';
import { configSchema } from '../../src/config/config-schema.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { tensorCodecEntry } from '../../src/platform/entries.ts';
import { GrpcServer } from '../../src/serving/grpc/grpc-server.ts';
import { requestResources } from '../../src/serving/v2/request-resources.ts';
import { servingEndpoint } from '../../src/serving/serving-endpoint.ts';
import type { HttpServer } from '../../src/web/http-server.ts';
import { testDeps } from './test-deps.ts';

/** The model server's endpoint on a free port, in this process. */
export class V2Server implements AsyncDisposable {
  readonly url: string;
  readonly deps: Deps;
  /** Address of gRPC: host and port. Empty without `grpc` in the settings. */
  readonly grpcAddress: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(server: HttpServer, grpc: GrpcServer | undefined, deps: Deps, stack: AsyncDisposableStack) {
    this.#stack = stack;
    this.deps = deps;
    this.url = server.url ?? '';
    this.grpcAddress = grpc?.address ?? '';
  }

  static async start(
    models: ClientInference,
    settings: Readonly<Record<string, unknown>> = {},
    deps = testDeps(),
    { keepAliveMs }: { readonly keepAliveMs?: number } = {},
  ): Promise<V2Server> {
    const config = configSchema.parse({ agent: { id: 'edge' }, serving: { listen: '127.0.0.1:0', ...settings } });
    const serving = modelServerConfig(config);
    if (serving === undefined) throw new Error('section serving was not read');
    await using stack = new AsyncDisposableStack();
    const resources = requestResources(tensorCodecEntry, serving.maxBodyBytes, deps);
    stack.use(resources.codec);
    const common = {
      settings: { agentId: 'edge', version: '1.2.3', serving, localToken: undefined },
      models,
      resources,
      deps,
    };
    const server = stack.use(servingEndpoint(common));
    await server.start();
    const ping = keepAliveMs === undefined ? {} : { keepAliveMs };
    const grpc =
      serving.grpc === undefined ? undefined : stack.use(new GrpcServer({ ...common, ...ping, listen: serving.grpc }));
    await grpc?.start();
    return new V2Server(server, grpc, deps, stack.move());
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(this.url + path, { headers });
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const bytes = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body);
    return fetch(this.url + path, { method: 'POST', body: bytes, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
