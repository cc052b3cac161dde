import type { ModelStatus, RunResult } from '../../src/contracts/inference.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Deps } from '../../src/platform/deps.ts';
import type { OipFaultServer } from './oip-fault-server.ts';
import { type TestModel, TestModelDirectory } from './onnx-directory.ts';
import { hostEntry, meanOf4x2, model, until, windowOf } from './onnx-host-harness.ts';
import { testDeps } from './test-deps.ts';

export type RemoteHarnessOptions = {
  /** Keys of `remote:` in model.yaml besides the URL. */
  readonly remote?: Readonly<Record<string, unknown>>;
  /** Keys of `models:`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Local models. A model named `local` is the fallback. */
  readonly models?: readonly TestModel[];
  /** Watched besides. */
  readonly watched?: readonly string[];
  /** Offset of the server's scores from the mean, which distinguishes them from a local model's. */
  readonly offset?: number;
  readonly clock?: Clock;
};

/** The local fallback: the same windows, with another name. */
export const localMean: TestModel = { ...meanOf4x2, name: 'local' };

/** A watched model `mean` that runs on a server with fault switches, which the host knows by its model.yaml alone. */
export class RemoteHarness implements AsyncDisposable {
  readonly directory: TestModelDirectory;
  readonly deps: Deps;
  readonly host: SupervisedInferenceHost;

  constructor(server: OipFaultServer, options: RemoteHarnessOptions = {}) {
    const { remote = {}, config = {}, models = [], watched = [], offset = 0 } = options;
    this.directory = new TestModelDirectory(models);
    const fallback = models.includes(localMean) ? { fallback: 'local@1' } : {};
    const golden = meanOf4x2.golden.map(({ window, score }) => ({ window, score: score + offset }));
    server.offset = offset === 0 ? server.offset : offset;
    this.directory.addRemote({ ...meanOf4x2, golden }, { url: server.url, ...fallback, ...remote });
    this.deps = testDeps(options.clock);
    this.host = new SupervisedInferenceHost({
      entry: hostEntry,
      config: modelsConfigSchema.parse({ directory: this.directory.path, deadline: '3s', ...config }),
      models: ['mean', ...watched].map((name) => model(name)),
      deps: this.deps,
    });
    this.host.start();
  }

  static async ready(server: OipFaultServer, options: RemoteHarnessOptions = {}): Promise<RemoteHarness> {
    const harness = new RemoteHarness(server, options);
    await harness.provider('remote');
    if (options.models?.includes(localMean) === true)
      await until(
        () => harness.host.ready(model('local@1')) !== undefined,
        () => JSON.stringify(harness.host.statuses()),
      );
    return harness;
  }

  /** Waits until the model runs on this provider. */
  async provider(provider: string): Promise<void> {
    await until(
      () => this.host.ready(model('mean'))?.judgedBy.provider === provider,
      () => JSON.stringify([this.host.statuses(), this.health]),
    );
  }

  status(name = 'mean'): ModelStatus | undefined {
    return this.host.statuses().find((status) => status.name === name);
  }

  get health(): { readonly status: string; readonly reason: string } | undefined {
    return this.deps.health.components().find(({ name }) => name === 'model/mean');
  }

  async healthIs(status: string): Promise<void> {
    await until(
      () => this.health?.status === status,
      () => JSON.stringify(this.health),
    );
  }

  /** A watch's run on `rows` windows, all of one value. */
  judge(value: number, rows = 1): Promise<RunResult> {
    return this.host.run(model('mean'), windowOf(value, [rows, 4, 2]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    this.directory[Symbol.dispose]();
  }
}
