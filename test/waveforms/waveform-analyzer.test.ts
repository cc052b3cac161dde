import { expect, test } from 'vitest';
import type { WaveformJob } from '../../src/contracts/waveforms/waveform-analysis.ts';
import { waveformWorkerEntry } from '../../src/platform/entries.ts';
import { WaveformAnalyzer } from '../../src/waveforms/waveform-analyzer.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';

const RATE = 1024;

function job(tag = 'vibration'): WaveformJob {
  return {
    tag,
    timeMs: 1000,
    samples: Float64Array.from({ length: RATE }, (_, index) => 2 * Math.sin((2 * Math.PI * 50 * index) / RATE)),
    rules: {
      sampleRate: RATE,
      samplesMin: 256,
      unit: 'g',
      speed: { tag: 'speed', toHz: 1 / 60 },
      features: [{ type: 'peak' }, { type: 'band', band: { from: 0.9, to: 1.1, orders: true } }],
    },
  };
}

function analyzer(entry = waveformWorkerEntry, maxWaiting = 8, quality: 'good' | 'bad' = 'good', timestampMs = 1000) {
  const deps = testDeps();
  const readTag = () => ({ value: 3000, timestampMs, quality });
  const options = { entry, maxWaiting: () => maxWaiting, readTag, deps };
  return { deps, waveforms: new WaveformAnalyzer(options) };
}

test('a band follows the speed of the machine, and the spectrum is kept', async () => {
  const { deps, waveforms } = analyzer();
  await using _ = waveforms;
  const { values } = await waveforms.analyse(job());
  expect(values[0]).toBeCloseTo(2, 9);
  expect(values[1]).toBeCloseTo(Math.SQRT2, 9);
  expect(waveforms.tags()).toEqual(['vibration']);
  expect(waveforms.view('vibration')).toMatchObject({ timeMs: 1000, samples: RATE, speedHz: 50 });
  expect(await metricValue(deps, 'andon_waveforms_total')).toBe(1);
  expect(deps.health.components()).toMatchObject([{ name: 'waveforms', status: 'ok' }]);
  waveforms.keep(new Set());
  expect(waveforms.tags()).toEqual([]);
});

test('a speed that is not good is not used', async () => {
  const { waveforms } = analyzer(waveformWorkerEntry, 8, 'bad');
  await using _ = waveforms;
  expect((await waveforms.analyse(job())).values[1]).toBeNaN();
});

test.each([61_001, -59_001])('a speed of another time than the waveform is not used: %d', async (timestampMs) => {
  const { waveforms } = analyzer(waveformWorkerEntry, 8, 'good', timestampMs);
  await using _ = waveforms;
  expect((await waveforms.analyse(job())).values[1]).toBeNaN();
});

test('a waveform beyond maxWaiting is dropped and counted', async () => {
  const { deps, waveforms } = analyzer(waveformWorkerEntry, 2);
  await using _ = waveforms;
  const results = await Promise.allSettled([1, 2, 3].map(() => waveforms.analyse(job())));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  expect(results[2]).toMatchObject({ reason: { code: 'waveform-queue-full' } });
  expect(await metricValue(deps, 'andon_waveforms_dropped_total{reason="queue-full"}')).toBe(1);
  expect(deps.health.components()).toMatchObject([{ name: 'waveforms', status: 'degraded' }]);
});

test('a worker that ends is replaced, and its waveforms are dropped and counted', async () => {
  const { deps, waveforms } = analyzer(new URL('data:text/javascript,process.exit(3)'));
  await using _ = waveforms;
  for (const lost of [1, 2]) {
    await expect(waveforms.analyse(job())).rejects.toMatchObject({ code: 'waveform-worker-lost' });
    expect(await metricValue(deps, 'andon_waveforms_dropped_total{reason="worker-lost"}')).toBe(lost);
  }
  expect(await metricValue(deps, 'andon_waveform_worker_restarts_total')).toBe(1);
});
