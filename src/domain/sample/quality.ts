/** Quality of a value, as in OPC. Models judge only `good` values. */
export type Quality = 'good' | 'uncertain' | 'bad';

/** The index is the code in a SampleBatch: 0 good, 1 uncertain, 2 bad. */
export const qualities = ['good', 'uncertain', 'bad'] as const satisfies readonly Quality[];

/**
 * Reasons why a value is not good. The index is the code in a SampleBatch; 0 is for a good value. Only append: the codes are
 * stored with the samples.
 */
export const qualityReasons = [
  'none',
  'not-read-yet',
  'out-of-range',
  'not-finite',
  'precision-lost',
  'timeout',
  'refused',
  'garbled-answer',
  'link-down',
  'unit-set-aside',
  'payload-invalid',
  'time-invalid',
  'time-in-future',
  'source-stopped',
  'clock-jumped',
  'stuck',
  'marked-not-good',
  'device-offline',
  'sequence-lost',
  'not-available',
  'not-available?',
  'waveform-short',
  'waveform-dropped',
  'speed-unknown',
] as const;

export type QualityReason = (typeof qualityReasons)[number];

export const GOOD = 0;
export const UNCERTAIN = 1;
export const BAD = 2;
export type QualityCode = typeof GOOD | typeof UNCERTAIN | typeof BAD;

export function qualityOf(code: number): Quality {
  return qualities[code] ?? 'bad';
}

export function reasonOf(code: number): QualityReason {
  return qualityReasons[code] ?? 'none';
}

export function reasonCode(reason: QualityReason): number {
  return qualityReasons.indexOf(reason);
}
