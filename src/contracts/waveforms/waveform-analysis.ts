import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { Quality } from '../../domain/sample/quality.ts';

/** Frequencies in Hz; with `orders`, in multiples of the speed of the machine. */
export type FrequencyBand = { readonly from: number; readonly to: number; readonly orders: boolean };

/** A number that is calculated from a waveform. */
export type WaveformFeature =
  | { readonly type: 'rms' | 'peak' | 'crest' | 'kurtosis' }
  | { readonly type: 'band'; readonly band: FrequencyBand }
  | {
      readonly type: 'envelope';
      /** Carrier, in Hz. */
      readonly band: FrequencyBand;
      /** Largest lines of the spectrum of the envelope: a frequency and an amplitude each. */
      readonly peaks: number;
    }
  | {
      readonly type: 'velocity';
      readonly band: FrequencyBand;
    }
  | {
      readonly type: 'zone';
      readonly band: FrequencyBand;
      /** Upper limits of the zones A, B and C, in mm/s. */
      readonly limits: readonly number[];
    };

/** Rules for the waveforms of one tag. */
export type WaveformRules = {
  /** In Hz. */
  readonly sampleRate: number;
  /** Fewest samples of a waveform. */
  readonly samplesMin: number;
  readonly unit: string;
  readonly features: readonly WaveformFeature[];
  /** Tag with the speed of the machine, and its factor to Hz; undefined if no feature has orders. */
  readonly speed: { readonly tag: string; readonly toHz: number } | undefined;
};

/** A waveform to analyse. */
export type WaveformJob = {
  readonly tag: string;
  readonly timeMs: EpochMs;
  /** In engineering units. The buffer is transferred: it cannot be used afterwards. */
  readonly samples: Float64Array<ArrayBuffer>;
  readonly rules: WaveformRules;
};

/** Amplitudes at 0, `stepHz`, 2 `stepHz` and so on. */
export type AmplitudeSpectrum = {
  readonly stepHz: number;
  /** Peak amplitude in the unit of the waveform. */
  readonly amplitudes: Float32Array;
};

/** Result of an analysis. */
export type WaveformResult = {
  /** `outputsOf` numbers for each feature, in order. NaN if a number needs the speed and it is not known, or does not exist. */
  readonly values: Float64Array;
  readonly spectrum: AmplitudeSpectrum;
  /** Spectrum of the envelope of the first `envelope` feature; undefined if there is none. */
  readonly envelope: AmplitudeSpectrum | undefined;
};

/** The last waveform of a tag, for people. */
export type WaveformView = WaveformResult & {
  readonly tag: string;
  readonly unit: string;
  readonly timeMs: EpochMs;
  readonly sampleRate: number;
  readonly samples: number;
  /** Speed of the machine in Hz; undefined if no feature has orders, or if the speed is not good. */
  readonly speedHz: number | undefined;
};

/** Analyses waveforms apart from the main thread, in the order of the calls. */
export interface WaveformAnalysis {
  /**
   * @throws {OperatingError} 'waveform-queue-full' | 'waveform-worker-lost' (retry): the waveform is dropped and counted.
   */
  analyse(job: WaveformJob): Promise<WaveformResult>;
}

/** Last waveforms, for the API. */
export interface WaveformViews {
  /** Tags that have had a waveform. */
  tags(): readonly string[];
  view(tag: string): WaveformView | undefined;
}

/** Returns the last value of a tag; undefined if there is no such tag. */
export type ReadTag = (
  tag: string,
) => { readonly value: number | undefined; readonly timestampMs: EpochMs; readonly quality: Quality } | undefined;

/** Number of values that a feature gives. */
export function outputsOf(feature: WaveformFeature): number {
  return feature.type === 'envelope' ? 2 * feature.peaks : 1;
}

/** m/s² of 1 g (ISO 80000-3). */
const STANDARD_GRAVITY = 9.80665;

/**
 * Returns the factor from the unit of a waveform to mm/s, or to mm/s² if it is an acceleration.
 *
 * @returns Undefined for units from which no velocity is calculated.
 */
export function velocityFactor(
  unit: string,
): { readonly factor: number; readonly isAcceleration: boolean } | undefined {
  switch (unit) {
    case 'mm/s':
      return { factor: 1, isAcceleration: false };
    case 'm/s²':
    case 'm/s2':
      return { factor: 1000, isAcceleration: true };
    case 'g':
      return { factor: 1000 * STANDARD_GRAVITY, isAcceleration: true };
    default:
      return undefined;
  }
}
