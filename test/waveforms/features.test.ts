import { describe, expect, test } from 'vitest';
import type { FrequencyBand, WaveformFeature } from '../../src/contracts/waveforms/waveform-analysis.ts';
import { analyseWaveform } from '../../src/waveforms/features.ts';

const RATE = 8192;
/** Speed of the machine. */
const SPEED_HZ = 60;

/** The waveform of waveform-golden.py: two tones, a carrier with an amplitude that changes at 87 Hz, and noise. */
function wave(count: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length: count }, (_, index) => {
    state = (state * 16_807) % 2_147_483_647;
    const t = (2 * Math.PI * index) / RATE;
    const bearing = 0.6 * (1 + 0.8 * Math.cos(87 * t)) * Math.sin(1500 * t);
    return 1 + 3 * Math.sin(50 * t) + 0.5 * Math.sin(120 * t + 0.3) + bearing + 0.2 * (state / 2_147_483_647 - 0.5);
  });
}

function band(from: number, to: number, orders = false): FrequencyBand {
  return { from, to, orders };
}

function values(samples: Float64Array, features: readonly WaveformFeature[], unit = 'm/s²', speedHz?: number) {
  const rules = { sampleRate: RATE, samplesMin: 256, unit, speed: undefined, features };
  return [...analyseWaveform(samples, rules, speedHz).values];
}

const features: readonly WaveformFeature[] = [
  { type: 'rms' },
  { type: 'peak' },
  { type: 'crest' },
  { type: 'kurtosis' },
  { type: 'band', band: band(40, 60) },
  { type: 'band', band: band(0.9, 2.1, true) },
  { type: 'velocity', band: band(10, 1000) },
  { type: 'envelope', band: band(1000, 2000), peaks: 1 },
];

// Results of waveform-golden.py (numpy 2.4, scipy 1.17), in the order of the features.
test.each([
  [
    4096,
    [
      2.2050901017179916, 4.604943453981981, 2.0883243956309347, 1.7161399131498927, 2.119562005076012,
      0.35158131538675813, 6.768396341819011, 88, 0.4062039594875524,
    ],
  ],
  [
    5000,
    [
      2.2037314239705026, 4.637875343319964, 2.1045556154768716, 1.7158034729623626, 2.1193264709573785,
      0.3535336778456393, 6.765742955411643, 87, 0.4785496833609279,
    ],
  ],
])('features of %i samples are those of scipy', (count, expected) => {
  const found = values(wave(count), features, 'm/s²', SPEED_HZ);
  expect(found).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(found[index]).toBeCloseTo(value, 9);
});

describe('a velocity', () => {
  const velocity: WaveformFeature = { type: 'velocity', band: band(10, 1000) };
  const tone = (amplitude: number) =>
    Float64Array.from({ length: RATE }, (_, index) => amplitude * Math.sin((2 * Math.PI * 100 * index) / RATE));

  test.each([
    ['m/s²', (1000 * 3) / (2 * Math.PI * 100)],
    ['g', (1000 * 9.80665 * 3) / (2 * Math.PI * 100)],
    ['mm/s', 3],
  ])('of a sine in %s is its integral', (unit, amplitude) => {
    // The window spreads the sine over three lines, whose divisors differ a little.
    expect(values(tone(3), [velocity], unit)[0]).toBeCloseTo(amplitude / Math.SQRT2, 2);
  });

  test.each([
    [1, 1],
    [2, 2],
    [4, 3],
    [7, 4],
  ])('of %d mm/s is in zone %d of 1.4, 2.8 and 4.5 mm/s', (mmPerS, zone) => {
    const feature: WaveformFeature = { type: 'zone', band: band(10, 1000), limits: [1.4, 2.8, 4.5] };
    expect(values(tone(mmPerS * Math.SQRT2), [feature], 'mm/s')).toEqual([zone]);
  });
});

test('a band in orders has no value without a speed, and beyond the frequencies of the waveform', () => {
  const orders: WaveformFeature = { type: 'band', band: band(0.9, 2.1, true) };
  expect(values(wave(4096), [orders])).toEqual([Number.NaN]);
  expect(values(wave(4096), [orders], 'g', RATE)).toEqual([Number.NaN]);
});

test('a band in orders has no value at a standstill, or if the machine is too slow for its width', () => {
  const orders: WaveformFeature = { type: 'band', band: band(0.9, 2.1, true) };
  expect(values(wave(4096), [orders], 'g', 0)).toEqual([Number.NaN]);
  expect(values(wave(4096), [orders], 'g', (0.99 * RATE) / 4096 / 1.2)).toEqual([Number.NaN]);
});

test('a velocity and a zone have no value if no line is in their band', () => {
  const between = band(100.1, 100.2);
  const both: readonly WaveformFeature[] = [
    { type: 'velocity', band: between },
    { type: 'zone', band: between, limits: [1.4, 2.8, 4.5] },
  ];
  expect(values(new Float64Array(RATE).fill(1), both, 'mm/s')).toEqual([Number.NaN, Number.NaN]);
});

test('the largest lines of an envelope come first, each once', () => {
  const samples = Float64Array.from({ length: RATE }, (_, index) => {
    const t = (2 * Math.PI * index) / RATE;
    return (1 + 0.5 * Math.cos(30 * t) + 0.2 * Math.cos(110 * t)) * Math.sin(2000 * t);
  });
  const [first, firstHeight, second, secondHeight] = values(samples, [
    { type: 'envelope', band: band(1500, 2500), peaks: 2 },
  ]);
  expect([first, second]).toEqual([30, 110]);
  expect(firstHeight).toBeCloseTo(0.5, 6);
  expect(secondHeight).toBeCloseTo(0.2, 6);
});

test('a spectrum for display has at most 1,025 lines, and the height of each tone', () => {
  const samples = Float64Array.from(
    { length: 65_536 },
    (_, index) => 3 * Math.sin((2 * Math.PI * 1000 * index) / RATE),
  );
  const rules = { sampleRate: RATE, samplesMin: 256, unit: 'g', speed: undefined, features };
  const { spectrum } = analyseWaveform(samples, rules, undefined);
  expect(spectrum.amplitudes.length).toBeLessThanOrEqual(1025);
  expect(Math.max(...spectrum.amplitudes)).toBeCloseTo(3, 6);
  expect(spectrum.amplitudes.indexOf(Math.max(...spectrum.amplitudes)) * spectrum.stepHz).toBe(1000);
});
