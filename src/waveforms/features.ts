import {
  type FrequencyBand,
  outputsOf,
  velocityFactor,
  type WaveformFeature,
  type WaveformResult,
  type WaveformRules,
} from '../contracts/waveforms/waveform-analysis.ts';
import { centred, envelopeOf, type PowerSpectrum, powerSpectrum, shownSpectrum } from './spectrum.ts';

/** Lines of a Hann window that one sine fills, on each side. */
const MAIN_LOBE_LINES = 2;

/**
 * Calculates the features and spectra of one waveform.
 *
 * @param samples In engineering units, finite, two or more.
 * @param speedHz Speed of the machine; undefined if it is not known.
 */
export function analyseWaveform(
  samples: Float64Array,
  { sampleRate, unit, features }: WaveformRules,
  speedHz: number | undefined,
): WaveformResult {
  const wave = centred(samples);
  const spectrum = powerSpectrum(wave, sampleRate);
  let envelope: PowerSpectrum | undefined;
  const values = features.flatMap((feature): readonly number[] => {
    switch (feature.type) {
      case 'rms':
        return [rms(wave)];
      case 'peak':
        return [peak(wave)];
      case 'crest':
        return [peak(wave) / rms(wave)];
      case 'kurtosis':
        return [kurtosis(wave)];
      case 'band':
        return [bandRms(spectrum, hertz(feature.band, speedHz, sampleRate / wave.length))];
      case 'velocity':
        return [velocityRms(spectrum, feature.band, unit)];
      case 'zone':
        return [zoneOf(velocityRms(spectrum, feature.band, unit), feature.limits)];
      case 'envelope': {
        const { from, to } = feature.band;
        const own = powerSpectrum(centred(envelopeOf(wave, sampleRate, from, to)), sampleRate);
        envelope ??= own;
        return peaks(own, feature, sampleRate / wave.length);
      }
    }
  });
  return {
    values: Float64Array.from(values),
    spectrum: shownSpectrum(spectrum),
    envelope: envelope === undefined ? undefined : shownSpectrum(envelope),
  };
}

function rms(wave: Float64Array): number {
  return Math.sqrt(meanPower(wave, 2));
}

function peak(wave: Float64Array): number {
  return wave.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** Pearson's kurtosis: 3 for normally distributed samples. */
function kurtosis(wave: Float64Array): number {
  return meanPower(wave, 4) / meanPower(wave, 2) ** 2;
}

function meanPower(wave: Float64Array, power: number): number {
  let sum = 0;
  for (const value of wave) sum += value ** power;
  return sum / wave.length;
}

/**
 * Returns the band in Hz; undefined if it needs the speed and there is none, or the machine is too slow: at a standstill every
 * band in orders is at 0 Hz.
 *
 * @param resolutionHz Sample rate divided by the number of samples. A narrower band has no line of its own.
 */
function hertz({ from, to, orders }: FrequencyBand, speedHz: number | undefined, resolutionHz: number) {
  if (!orders) return { from, to };
  if (speedHz === undefined || (to - from) * speedHz < resolutionHz) return undefined;
  return { from: from * speedHz, to: to * speedHz };
}

/** RMS of the lines from `from` to `to`. NaN if the waveform has no line there: the machine is too slow or too fast. */
function bandRms(spectrum: PowerSpectrum, band: { readonly from: number; readonly to: number } | undefined): number {
  if (band === undefined) return Number.NaN;
  const first = Math.ceil(band.from / spectrum.stepHz);
  const last = Math.floor(band.to / spectrum.stepHz);
  if (first > last || last >= spectrum.meanSquares.length) return Number.NaN;
  return Math.sqrt(spectrum.meanSquares.subarray(first, last + 1).reduce((sum, part) => sum + part, 0));
}

/**
 * RMS of the vibration velocity in mm/s; NaN if the band has no line. An acceleration is integrated: its lines are divided by
 * 2πf.
 *
 * @see ISO 20816-1:2016, section 4.3: broad-band r.m.s. velocity.
 */
function velocityRms({ stepHz, meanSquares }: PowerSpectrum, { from, to }: FrequencyBand, unit: string): number {
  const { factor, isAcceleration } = velocityFactor(unit) ?? { factor: Number.NaN, isAcceleration: false };
  const first = Math.max(Math.ceil(from / stepHz), 1);
  if (first >= meanSquares.length || first * stepHz > to) return Number.NaN;
  let sum = 0;
  for (let line = first; line < meanSquares.length && line * stepHz <= to; line += 1)
    sum += (meanSquares[line] ?? 0) * (isAcceleration ? factor / (2 * Math.PI * line * stepHz) : factor) ** 2;
  return Math.sqrt(sum);
}

/** 1 to 4 for the evaluation zones A to D; NaN without a velocity. */
function zoneOf(velocity: number, limits: readonly number[]): number {
  return Number.isNaN(velocity) ? Number.NaN : 1 + limits.filter((limit) => velocity > limit).length;
}

/**
 * Frequency and amplitude of the largest lines, the largest first; 0 for lines that the spectrum does not have. Lines of one
 * sine count once.
 *
 * @param resolutionHz Sample rate divided by the number of samples.
 */
function peaks(
  { stepHz, amplitudes }: PowerSpectrum,
  feature: WaveformFeature,
  resolutionHz: number,
): readonly number[] {
  const apart = (MAIN_LOBE_LINES * 2 * resolutionHz) / stepHz;
  const found: number[] = [];
  const maxima = [...amplitudes.keys()].filter((line) => {
    const height = amplitudes[line] ?? 0;
    return line > 0 && height > (amplitudes[line - 1] ?? 0) && height >= (amplitudes[line + 1] ?? 0);
  });
  for (const line of maxima.toSorted((a, b) => (amplitudes[b] ?? 0) - (amplitudes[a] ?? 0))) {
    if (found.length === outputsOf(feature) / 2) break;
    if (found.every((other) => Math.abs(other - line) > apart)) found.push(line);
  }
  return Array.from({ length: outputsOf(feature) }, (_, index) => {
    const line = found[Math.floor(index / 2)];
    return line === undefined ? 0 : index % 2 === 0 ? line * stepHz : (amplitudes[line] ?? 0);
  });
}
