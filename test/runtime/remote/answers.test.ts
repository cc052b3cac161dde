import { describe, expect, test } from 'vitest';
import { type InferFault, OipFaultServer } from '../../support/oip-fault-server.ts';
import { metricValue } from '../../support/test-deps.ts';
import { localMean, RemoteHarness } from '../../support/remote-harness.ts';

/*
 * A server that does everything wrong that a server can, one thing at a time. Invariant: a score is the server's true one, or
 * the fallback's, or there is none; and once the server does right again, it judges again.
 */
const faults: readonly (readonly [InferFault, string, RegExp])[] = [
  ['hang', 'inference-timeout', /did not answer within 3000 ms/],
  ['slow', 'inference-timeout', /did not answer within 3000 ms/],
  ['trickle', 'inference-timeout', /did not answer within 3000 ms/],
  ['reset', 'remote-unreachable', /No exchange with http/],
  ['reset-mid-body', 'remote-unreachable', /No exchange with http/],
  ['busy', 'remote-busy', /answered 503: come again/],
  ['busy-for-long', 'remote-busy', /answered 429: not now/],
  ['failed', 'remote-refused', /answered 500: out of memory on the GPU/],
  ['refused', 'remote-request-refused', /answered 400: unexpected values/],
  ['not-admitted', 'remote-refused', /answered 401: who are you/],
  ['redirect', 'remote-refused', /answered 307 to http:\/\/127.0.0.1:9.*, which is not followed/],
  ['wrong-id', 'remote-answer-invalid', /is to request '\d+', not to '\d+'/],
  ['no-id', 'remote-answer-invalid', /is to request \(none\), not to/],
  ['wrong-model', 'remote-answer-invalid', /is of model 'other', not of 'mean'/],
  ['wrong-shape', 'remote-answer-invalid', /'score' is \[1, 1\], expected \[1\]/],
  ['fewer-rows', 'remote-answer-invalid', /'score' is \[0\], expected \[1\]/],
  ['wrong-type', 'remote-answer-invalid', /'score' is int32, but the model gives float32/],
  ['missing-output', 'remote-answer-invalid', /has no output 'score'/],
  ['nan', 'model-output-invalid', /'score' has NaN at 0/],
  ['truncated-binary', 'remote-answer-invalid', /binary_data_size 4, but 3 bytes are left/],
  [
    'lying-header-length',
    'remote-answer-invalid',
    /Inference-Header-Content-Length is \d+, but|is not JSON|is not UTF-8/,
  ],
  ['garbage', 'remote-answer-invalid', /is not JSON/],
  ['no-http', 'remote-answer-invalid', /does not answer with HTTP/],
  ['compressed', 'remote-answer-invalid', /answered with the encoding br/],
  ['endless', 'remote-answer-invalid', /more than the 100000 bytes allowed/],
];

describe.each(faults)('a server whose answer is %s', (fault, code, message) => {
  test('gives no score, and its next good answer counts', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 100, maxAnswer: '100kB' } });
    server.fault = fault;
    server.slowMs = 4_000;
    await expect(harness.judge(3)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(await metricValue(harness.deps, `andon_inference_runs_total{model="mean",outcome="${code}"}`)).toBe(1);
    server.fault = 'none';
    expect((await harness.judge(3)).outputs['score']?.data).toEqual(Float32Array.of(3));
    expect(harness.health).toMatchObject({ status: 'ok', reason: '' });
  });

  test('has this window judged by the fallback, and the verdict names it', async () => {
    await using server = await OipFaultServer.start();
    const remote = { failures: 100, maxAnswer: '100kB' };
    await using harness = await RemoteHarness.ready(server, { remote, models: [localMean] });
    server.fault = fault;
    server.slowMs = 4_000;
    const { outputs, judgedBy, manifest } = await harness.judge(3);
    expect(outputs['score']?.data).toEqual(Float32Array.of(3));
    expect(judgedBy).toMatchObject({
      model: 'local',
      version: 1,
      provider: 'cpu',
      fallbacks: [{ provider: 'remote', reason: expect.stringMatching(message) as string }],
    });
    expect(manifest.name).toBe('local');
    server.fault = 'none';
    expect((await harness.judge(3)).judgedBy).toMatchObject({ model: 'mean', provider: 'remote', fallbacks: [] });
  });
});
