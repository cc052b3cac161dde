import FFT from 'fft.js';
import type { AmplitudeSpectrum } from '../contracts/waveforms/waveform-analysis.ts';

/** Lines of a spectrum for display. */
const SHOWN_LINES_MAX = 1024;

/** Mean square of a waveform by frequency. */
export type PowerSpectrum = {
  readonly stepHz: number;
  /** Part of each line in the mean square of the waveform, in its unit squared; from 0 Hz to half the sample rate. */
  readonly meanSquares: Float64Array;
  /** Peak amplitude of a sine at each line. */
  readonly amplitudes: Float64Array;
};

/** Returns the samples less their mean. */
export function centred(samples: Float64Array): Float64Array {
  let sum = 0;
  for (const value of samples) sum += value;
  const mean = sum / samples.length;
  return samples.map((value) => value - mean);
}

/**
 * Returns the one-sided spectrum with a Hann window, filled with zeros to a power of two. The sum of `meanSquares` is the mean
 * square of the waveform, except for what the window weighs differently at its ends.
 *
 * @param samples Two or more, with a mean of 0.
 * @see Heinzel, Rüdiger, Schilling, Spectrum and spectral density estimation by the DFT, 2002, sections 8 and 9.
 */
export function powerSpectrum(samples: Float64Array, sampleRate: number): PowerSpectrum {
  const { length } = samples;
  const size = powerOfTwo(length);
  const windowed = new Float64Array(size);
  let weights = 0;
  let squares = 0;
  for (const [index, value] of samples.entries()) {
    const weight = 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / length);
    windowed[index] = value * weight;
    weights += weight;
    squares += weight * weight;
  }
  const { transform, output } = fourier(size);
  transform.realTransform(output, windowed);
  const lines = size / 2 + 1;
  const meanSquares = new Float64Array(lines);
  const amplitudes = new Float64Array(lines);
  for (let line = 0; line < lines; line += 1) {
    const sides = line === 0 || line === lines - 1 ? 1 : 2;
    const square = (output[2 * line] ?? 0) ** 2 + (output[2 * line + 1] ?? 0) ** 2;
    meanSquares[line] = (sides * square) / (size * squares);
    amplitudes[line] = (sides * Math.sqrt(square)) / weights;
  }
  return { stepHz: sampleRate / size, meanSquares, amplitudes };
}

/**
 * Returns the envelope of the part of a waveform between two frequencies: the absolute value of its analytic signal.
 *
 * @param samples With a mean of 0.
 * @see Randall, Antoni, Rolling element bearing diagnostics – a tutorial, Mechanical Systems and Signal Processing 25, 2011.
 */
export function envelopeOf(samples: Float64Array, sampleRate: number, fromHz: number, toHz: number): Float64Array {
  const size = powerOfTwo(samples.length);
  const padded = new Float64Array(size);
  padded.set(samples);
  const { transform, output } = fourier(size);
  transform.realTransform(output, padded);
  const stepHz = sampleRate / size;
  // Without the negative frequencies, the inverse is the analytic signal.
  for (let line = 0; line < size; line += 1) {
    const frequency = line * stepHz;
    const factor = line > 0 && line < size / 2 && frequency >= fromHz && frequency <= toHz ? 2 : 0;
    output[2 * line] = factor * (output[2 * line] ?? 0);
    output[2 * line + 1] = factor * (output[2 * line + 1] ?? 0);
  }
  const analytic = transform.createComplexArray() as number[];
  transform.inverseTransform(analytic, output);
  return samples.map((_, index) => Math.hypot(analytic[2 * index] ?? 0, analytic[2 * index + 1] ?? 0));
}

/** Returns the spectrum with at most 1,024 lines: each stands for the largest of its neighbours, so that no line disappears. */
export function shownSpectrum({ stepHz, amplitudes }: PowerSpectrum): AmplitudeSpectrum {
  const width = Math.ceil((amplitudes.length - 1) / SHOWN_LINES_MAX);
  const shown = Float32Array.from({ length: Math.ceil(amplitudes.length / width) }, (_, index) =>
    amplitudes.subarray(index * width, (index + 1) * width).reduce((a, b) => Math.max(a, b), 0),
  );
  return { stepHz: stepHz * width, amplitudes: shown };
}

function powerOfTwo(length: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(length, 2)));
}

const transforms = new Map<number, FFT>();

function fourier(size: number): { readonly transform: FFT; readonly output: number[] } {
  const transform = transforms.get(size) ?? new FFT(size);
  transforms.set(size, transform);
  return { transform, output: transform.createComplexArray() as number[] };
}
