import { beforeEach, describe, expect, test } from 'vitest';
import type { AgentProtocol, ModelsSnapshot } from '../../src/contracts/model-server.ts';
import type { RunResult, ServedModel } from '../../src/contracts/inference.ts';
import { ClientModels } from '../../src/serving/client-models.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { watchHosts } from '../../src/models/store/serving.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { RpcClient } from '../../src/platform/rpc.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hostEntry, model, windowOf } from '../support/onnx-host-harness.ts';
import { testDeps } from '../support/test-deps.ts';

const judgedBy = { model: 'mean', version: 3, provider: 'cpu', fallbacks: [] };
const served = { judgedBy, inputs: [], outputs: [], manifest: { name: 'mean' } } as unknown as ServedModel;
const result = { outputs: {}, judgedBy, runMs: 1 } as unknown as RunResult;
const snapshot: ModelsSnapshot = {
  loaded: [{ reference: model('mean'), served }],
  statuses: [{ name: 'mean', version: 3, state: 'ready', reason: undefined, provider: 'cpu', fallbacks: [] }],
  statistics: [],
};

/** An agent that remembers what it was asked. */
let asked: string[] = [];
let clock = new FakeClock();

function clientModels(limits: object): ClientModels {
  const config = modelsConfigSchema.parse({ directory: '/nowhere', limits });
  const agent = new RpcClient<AgentProtocol>(
    {
      post: (message) => {
        const { id, method } = message as { readonly id: number; readonly method: string };
        asked.push(method);
        const answers: Readonly<Record<string, unknown>> = { models: snapshot, run: result };
        queueMicrotask(() => listener?.({ id, ok: true, result: answers[method] }));
      },
      onMessage: (wanted) => (listener = wanted),
    },
    clock,
  );
  const own = new SupervisedInferenceHost({ entry: hostEntry, config, deps: testDeps(clock) });
  const watched = [model('mean')];
  const hosts = watchHosts(config, watched);
  return new ClientModels({ own: own.clients, agent, config, watchHosts: hosts, watched, clock });
}
let listener: ((message: unknown) => void) | undefined;

beforeEach(() => {
  asked = [];
  clock = new FakeClock();
});

describe("a model in a watches' host", () => {
  test('runs in the agent, whose models are queried once a second at most', async () => {
    const models = clientModels({ mean: { host: 'main' } });
    expect(models.served(model('mean'))).toBeUndefined();
    await models.models();
    for (let run = 0; run < 5; run += 1) {
      expect(models.served(model('mean'))).toEqual(served);
      expect(models.served(model('mean@3'))).toEqual(served);
      await models.run(model('mean'), windowOf(1));
    }
    expect(asked).toEqual(['models', 'run', 'run', 'run', 'run', 'run']);
    await clock.advance(1_001);
    expect(models.served(model('mean'))).toBeUndefined();
  });
});

describe("a watch's model in a host of its own", () => {
  test("is described by the agent's until a client has run it, and is never unloaded", async () => {
    const models = clientModels({});
    expect((await models.models()).served(model('mean@3'))).toEqual(served);
    // Not the agent's, which it would only delay: a run waits for a copy of its own.
    expect(models.served(model('mean'))).toBeUndefined();
    await expect(models.unload(model('mean'))).rejects.toMatchObject({ code: 'model-in-use' });
    expect(asked).toEqual(['models']);
  });
});
