import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/runtime/remote/circuit-breaker.ts';
import { errorCode } from '../../../src/platform/errors.ts';
import { meanOf4x2, model, until, windowOf } from '../../support/onnx-host-harness.ts';
import { OipFaultServer } from '../../support/oip-fault-server.ts';
import { localMean, RemoteHarness } from '../../support/remote-harness.ts';
import { metricValue } from '../../support/test-deps.ts';

describe('a circuit breaker', () => {
  test('lets runs through only from a proof until so many failures in a row', () => {
    const steps = fc.array(fc.constantFrom('succeeded', 'failed', 'proved'));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (failuresMax, all) => {
        const breaker = new CircuitBreaker({ failuresMax, random: () => 0.5 });
        let inARow = 0;
        for (const step of all) {
          if (step === 'proved') breaker.close();
          else if (breaker.state !== 'closed') continue;
          else if (step === 'succeeded') breaker.succeeded();
          else if (breaker.failed()) breaker.open();
          inARow = step === 'failed' ? inARow + 1 : 0;
          expect(breaker.state).toBe(inARow >= failuresMax ? 'open' : 'closed');
        }
      }),
    );
  });

  test('pauses ever longer, up to a minute, until a run has succeeded', () => {
    const breaker = new CircuitBreaker({ failuresMax: 1, random: () => 1 });
    const pauses = Array.from({ length: 9 }, () => {
      breaker.close();
      return breaker.open();
    });
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    breaker.close();
    breaker.succeeded();
    expect(breaker.open()).toBe(500);
  });
});

test('each proof that fails while the breaker is half-open doubles the pause, up to a minute', () => {
  const breaker = new CircuitBreaker({ failuresMax: 1, random: () => 1 });
  const pauses = Array.from({ length: 9 }, () => {
    breaker.halfOpen();
    expect(breaker.state).toBe('half-open');
    const pauseMs = breaker.open();
    expect(breaker.state).toBe('open');
    return pauseMs;
  });
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  // A proof that succeeds opens the way for runs; only one of these shortens the pauses again.
  breaker.halfOpen();
  breaker.close();
  expect(breaker.open()).toBe(60_000);
});

describe('a server that fails run after run', () => {
  test('gets no requests, is proved again after a pause, and judges again automatically', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 2, retries: 0 } });
    server.fault = 'failed';
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-refused' });
    expect(harness.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('answered 500') as string,
    });
    expect(harness.status()?.state).toBe('ready');
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-refused' });
    expect(harness.status()).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^2 runs failed in a row, last: .*out of memory/) as string,
    });
    expect(await metricValue(harness.deps, 'andon_remote_circuit_open{model="mean",host="main"}')).toBe(1);

    const asked = server.rows.length;
    await expect(harness.judge(1)).rejects.toMatchObject({ code: 'remote-circuit-open' });
    expect(server.rows.length).toBe(asked);

    server.fault = 'none';
    await harness.provider('remote');
    expect(harness.health).toMatchObject({ status: 'ok' });
    expect(await metricValue(harness.deps, 'andon_remote_circuit_open{model="mean",host="main"}')).toBe(0);
    expect((await harness.judge(2)).outputs['score']?.data).toEqual(Float32Array.of(2));
  });

  test('costs no window with a fallback, and the health names the judging model', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 2 }, models: [localMean] });
    await server.kill();
    for (let run = 0; run < 5; run += 1)
      expect((await harness.judge(run)).judgedBy).toMatchObject({ model: 'local', provider: 'cpu' });
    expect(harness.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringMatching(/ECONNREFUSED.*; local@1 judges meanwhile$/) as string,
    });
    expect(harness.status()).toMatchObject({
      state: 'ready',
      provider: 'cpu',
      fallbacks: [{ provider: 'remote', reason: expect.stringContaining('ECONNREFUSED') as string }],
    });
    expect(
      await metricValue(harness.deps, 'andon_remote_fallback_runs_total{model="mean",reason="remote-circuit-open"}'),
    ).toBe(3);
    await server.listen();
    await harness.provider('remote');
    expect(harness.health).toMatchObject({ status: 'ok', reason: '' });
    expect((await harness.judge(2)).judgedBy).toMatchObject({ model: 'mean', provider: 'remote', fallbacks: [] });
  });

  test('is retried within the deadline if it was unavailable for a moment', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { config: { deadline: '3s' } });
    const faults = ['reset', 'reset-mid-body', 'busy'] as const;
    for (const fault of faults) {
      Object.assign(server, { fault, faultsLeft: 2 });
      expect((await harness.judge(4)).outputs['score']?.data).toEqual(Float32Array.of(4));
    }
    expect(await metricValue(harness.deps, 'andon_remote_retries_total{model="mean"}')).toBe(6);
    Object.assign(server, { fault: 'busy', faultsLeft: 3 });
    await expect(harness.judge(4)).rejects.toMatchObject({ code: 'remote-busy' });
    const asked = server.rows.length;
    Object.assign(server, { fault: 'failed', faultsLeft: 1 });
    await expect(harness.judge(4)).rejects.toMatchObject({ code: 'remote-refused' });
    expect(server.rows.length).toBe(asked + 1);
  });

  test('is not waited for if it requests more time than the deadline leaves', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { config: { deadline: '10s' } });
    Object.assign(server, { fault: 'busy-for-long', faultsLeft: 1 });
    const beganMs = performance.now();
    await expect(harness.judge(4)).rejects.toMatchObject({ code: 'remote-busy' });
    expect(performance.now() - beganMs, 'half of the deadline').toBeLessThan(5_000);
  });

  test('does not count as failed if it returns NaN or refuses the values', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { remote: { failures: 1 } });
    for (const fault of ['nan', 'refused'] as const) {
      Object.assign(server, { fault, faultsLeft: 3 });
      for (let run = 0; run < 3; run += 1)
        await expect(harness.judge(1)).rejects.toMatchObject({ disposition: 'reject' });
      expect((await harness.judge(5)).judgedBy.provider).toBe('remote');
    }
    expect(harness.health?.status).toBe('ok');
  });
});

describe('windows and requests', () => {
  test('of many callers use at most the allowed connections, and at most the allowed number waits', async () => {
    await using server = await OipFaultServer.start();
    const config = { deadline: '5s', maxQueuedRuns: 3 };
    await using harness = await RemoteHarness.ready(server, { remote: { connections: 2 }, config });
    server.connections = 0;
    server.fault = 'slow';
    const runs = Array.from({ length: 8 }, (_, index) => harness.judge(index));
    const outcomes = await Promise.allSettled(runs);
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? errorCode(outcome.reason) : 'ok'));
    expect(codes).toEqual([
      ...Array.from({ length: 5 }, () => 'ok'),
      ...Array.from({ length: 3 }, () => 'inference-queue-full'),
    ]);
    const scores = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value.outputs['score']?.data[0]] : [],
    );
    expect(scores).toEqual([0, 1, 2, 3, 4]);
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  test('of a batch go as one request, over a connection that is kept', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server);
    server.rows.length = 0;
    const connections = server.connections;
    for (let run = 0; run < 10; run += 1) await harness.judge(1, 7);
    expect(server.rows).toEqual(Array.from({ length: 10 }, () => 7));
    expect(server.connections - connections).toBeLessThanOrEqual(1);
  });

  test('of several clients are one request if the proof showed independent rows', async () => {
    await using server = await OipFaultServer.start();
    const config = { serve: ['mean'], deadline: '2s', limits: { mean: { maxDelay: '200ms' } } };
    await using harness = await RemoteHarness.ready(server, { config });
    await harness.host.clients.load(model('mean'));
    server.rows.length = 0;
    const runs = [1, 2, 3].map((value) => harness.host.clients.run(model('mean'), windowOf(value)));
    expect((await Promise.all(runs)).map(({ outputs }) => outputs['score']?.data[0])).toEqual([1, 2, 3]);
    expect(server.rows).toEqual([3]);
  });

  test('go row by row to a server that takes one row', async () => {
    await using server = await OipFaultServer.start();
    server.window = [1, 4, 2];
    await using harness = await RemoteHarness.ready(server);
    server.rows.length = 0;
    expect((await harness.judge(6, 3)).outputs['score']).toMatchObject({ dims: [3], data: Float32Array.of(6, 6, 6) });
    expect(server.rows).toEqual([1, 1, 1]);
  });

  test('are JSON if the server has no binary tensors', async () => {
    await using server = await OipFaultServer.start();
    server.binary = false;
    await using harness = await RemoteHarness.ready(server);
    expect((await harness.judge(0.1)).outputs['score']?.data[0]).toBeCloseTo(0.1, 6);
    expect(new Set(server.contentTypes)).toEqual(new Set(['application/json']));
  });

  test('of local models are judged at their own pace while a server hangs', async () => {
    await using server = await OipFaultServer.start();
    const local = { ...meanOf4x2, name: 'other' };
    const config = { deadline: '20s' };
    await using harness = await RemoteHarness.ready(server, { models: [local], watched: ['other'], config });
    await until(
      () => harness.host.ready(model('other')) !== undefined,
      () => JSON.stringify(harness.host.statuses()),
    );
    server.fault = 'hang';
    let answered = 0;
    for (let run = 0; run < 6; run += 1)
      void harness.judge(1).then(
        () => (answered += 1),
        () => (answered += 1),
      );
    for (let run = 0; run < 50; run += 1) await harness.host.run(model('other'), windowOf(run));
    expect(answered, 'the server still hangs').toBe(0);
  });

  test('of a batch that the server refuses for one of them return to the caller to be split', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean] });
    Object.assign(server, { fault: 'nan', faultsLeft: 1 });
    await expect(harness.judge(1, 4)).rejects.toMatchObject({ code: 'model-output-invalid', disposition: 'reject' });
    Object.assign(server, { fault: 'hang', faultsLeft: 1 });
    expect((await harness.judge(1, 4)).judgedBy.model).toBe('local');
  });

  test('of clients get the outputs of this model or an error, and never the answer of a fallback', async () => {
    await using server = await OipFaultServer.start();
    await using harness = await RemoteHarness.ready(server, { models: [localMean] });
    await harness.host.clients.run(model('mean'), windowOf(1));
    server.fault = 'failed';
    await expect(harness.host.clients.run(model('mean'), windowOf(1))).rejects.toMatchObject({
      code: 'remote-refused',
    });
  });
});
