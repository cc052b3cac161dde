import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelsConfigSchema } from '../../../src/models/store/models-config.ts';
import { SupervisedInferenceHost } from '../../../src/runtime/supervised-host.ts';
import { TestModelDirectory } from '../../support/onnx-directory.ts';
import { HostHarness, hostEntry, meanOf4x2, model, until, windowOf } from '../../support/onnx-host-harness.ts';
import { twiceModel } from '../../support/onnx-models.ts';
import { testDeps } from '../../support/test-deps.ts';
import { V2Server } from '../../support/v2-server.ts';

/** One agent's models on another agent's box. */
describe('another andon as the server', () => {
  let far: HostHarness;
  let server: V2Server;
  let directory: TestModelDirectory;
  let near: SupervisedInferenceHost;

  beforeAll(async () => {
    far = new HostHarness([meanOf4x2]);
    far.directory.addGraph({ name: 'twice', bytes: twiceModel(), golden: [] });
    await far.host.clients.load(model('twice'));
    await far.ready('mean');
    server = await V2Server.start(far.host.clients);
    directory = new TestModelDirectory();
    directory.addRemote(meanOf4x2, { url: server.url });
    directory.addRemoteGraph({
      name: 'double',
      golden: [{ inputs: { x: [1, 2] }, outputs: { y: [2, 4] } }],
      remote: { url: server.url, model: 'twice' },
    });
    near = new SupervisedInferenceHost({
      entry: hostEntry,
      config: modelsConfigSchema.parse({ directory: directory.path, serve: ['double'] }),
      models: [model('mean')],
      deps: testDeps(),
    });
    near.start();
    await until(
      () => near.ready(model('mean')) !== undefined && near.clients.served(model('double')) !== undefined,
      () => JSON.stringify(near.statuses()),
    );
  });

  afterAll(async () => {
    await near[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await far[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  test('gives every window the score that it has there', async () => {
    const { outputs, judgedBy } = await near.run(model('mean'), windowOf(2.5, [3, 4, 2]));
    expect(outputs['score']).toEqual({ type: 'float32', dims: [3], data: Float32Array.of(2.5, 2.5, 2.5) });
    expect(judgedBy).toEqual({ model: 'mean', version: 1, provider: 'remote', fallbacks: [] });
  });

  test('serves its graphs to the clients of this one, under the name they have here', async () => {
    expect(near.clients.served(model('double'))?.inputs).toEqual([{ name: 'x', type: 'float32', dims: [-1, 2] }]);
    const x = { type: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, Number.NaN) } as const;
    const { outputs } = await near.clients.run(model('double'), { x });
    expect(outputs['y']?.data).toEqual(Float32Array.of(2, 4, 6, Number.NaN));
    await using further = await V2Server.start(near.clients);
    const answer = await further.post('/v2/models/double/infer', {
      id: 'a',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [5, 6] }],
    });
    expect(await answer.json()).toMatchObject({
      id: 'a',
      model_name: 'double',
      outputs: [{ name: 'y', data: [10, 12] }],
    });
  });

  test('counts its runs like any model', () => {
    expect(near.clients.statistics()).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'mean', version: 1, inferences: 3, executions: 1 })]),
    );
  });
});
