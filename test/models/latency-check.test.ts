import { describe, expect, test } from 'vitest';
import { checkLatency, type LatencyCheckOptions } from '../../src/models/checks/latency-check.ts';
import { readManifest } from '../../src/models/store/manifest-file.ts';
import { FakeClock } from '../support/fake-clock.ts';

const golden = [1, 2].map((value) => `{inputs: {window: [${value}]}, outputs: {}}`).join(', ');
const text = `{name: m, version: 1, task: anomaly, sha256: '${'0'.repeat(64)}', tags: [{name: t}], window: {steps: 1}, threshold: 1, golden: [${golden}]}`;
const { manifest } = readManifest('model.yaml', text, { name: 'm', version: 1 });
const WARM_UP_RUNS = 3;

type RunTime = { readonly wallMs: number; readonly cpuMs?: number };

/** Checks a model with a deadline of 10 ms; `timeOf` returns what each run takes after the warm-up. */
async function check(timeOf: (run: number) => RunTime, ifTooSlow: 'refuse' | 'report' = 'refuse') {
  if (manifest === undefined) throw new Error('the test manifest is not valid');
  const clock = new FakeClock();
  let runs = 0;
  const run: LatencyCheckOptions['run'] = async () => {
    const { wallMs, cpuMs } = timeOf(runs++ - WARM_UP_RUNS);
    await clock.advance(wallMs);
    return { cpuMs };
  };
  const inputs = [{ name: 'window', type: 'float32', dims: [-1, 1, 1] }] as const;
  const figures = await checkLatency({ run, manifest, inputs, deadlineMs: 10, runTimeoutMs: 60_000, ifTooSlow, clock });
  return { figures, runs: runs - WARM_UP_RUNS };
}

describe('a version is refused for its latency', () => {
  const refused = expect.objectContaining({ code: 'model-too-slow' }) as Error;

  test('if its runs need more CPU time than the deadline allows', async () => {
    await expect(check(() => ({ wallMs: 15, cpuMs: 12 }))).rejects.toThrow(refused);
  });

  test('not if the machine is so busy that runs wait for the CPU', async () => {
    const { figures } = await check(() => ({ wallMs: 400, cpuMs: 4 }));
    expect(figures).toMatchObject({ p50Ms: 4, p99Ms: 4, deadlineMs: 10 });
  });

  test('if it computes on many cores: then the time until its answer counts', async () => {
    expect((await check(() => ({ wallMs: 4, cpuMs: 16 }))).figures).toMatchObject({ p50Ms: 4 });
    await expect(check(() => ({ wallMs: 12, cpuMs: 48 }))).rejects.toThrow(refused);
  });

  test('not for outliers on a GPU or server, whose CPU time is not known', async () => {
    const { figures } = await check((run) => ({ wallMs: run % 5 === 0 ? 80 : 6 }));
    expect(figures).toMatchObject({ p50Ms: 6, maxMs: 80 });
  });

  test('not for a series that other load disturbed, if the next one keeps the deadline', async () => {
    const { figures, runs } = await check((run) => ({ wallMs: run < 100 ? 14 : 6 }));
    expect(figures).toMatchObject({ runs: 100, maxMs: 6 });
    expect(runs).toBe(200);
  });

  test('if one of its inputs takes too long, though the others are quick', async () => {
    await expect(check((run) => ({ wallMs: run % 2 === 0 ? 1 : 11 }))).rejects.toThrow(refused);
  });

  test('never at a rollback, whose figures are reported', async () => {
    const { figures } = await check(() => ({ wallMs: 30, cpuMs: 30 }), 'report');
    expect(figures).toMatchObject({ p50Ms: 30, deadlineMs: 10 });
  });
});
