import * as z from 'zod';
import {
  outputsOf,
  velocityFactor,
  type WaveformFeature,
  type WaveformRules,
} from '../contracts/waveforms/waveform-analysis.ts';
import type { TagDefinition } from '../domain/sample/tag.ts';
import { invariant } from '../platform/errors.ts';
import { tagFields } from './tag-fields.ts';

/** Most samples of a waveform: 64 Ki take about 50 ms of the worker. */
export const WAVEFORM_SAMPLES_MAX = 65_536;
const SAMPLES_MIN_DEFAULT = 256;
const PEAKS_DEFAULT = 3;
const PEAKS_MAX = 10;
/** A band needs as many periods of its lowest frequency: slow movements and the window reach into lower lines. */
const PERIODS_MIN = 4;

/** Upper limits of the zones A, B and C in mm/s, by machine and foundation: ISO 20816-3:2022, tables A.1 and A.2. */
const zoneLimits = {
  'group-1-rigid': [2.3, 4.5, 7.1],
  'group-1-flexible': [3.5, 7.1, 11],
  'group-2-rigid': [1.4, 2.8, 4.5],
  'group-2-flexible': [2.3, 4.5, 7.1],
} as const;
type Machine = keyof typeof zoneLimits;
const machines = Object.keys(zoneLimits) as [Machine, ...Machine[]];

const ownFields = { range: tagFields.range, deadband: tagFields.deadband };
const from = z.number().min(0);
const to = z.number().positive();
const velocityBand = {
  from: from.positive().default(10).describe('Lowest frequency, in Hz. ISO 20816-3: 10, or 2 below 600 rpm'),
  to: to.default(1000).describe('Highest frequency, in Hz'),
};

const featureSchema = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.enum(['rms', 'peak', 'crest', 'kurtosis']), ...ownFields }),
    z.strictObject({
      type: z.literal('band'),
      from: from.describe('Lowest frequency'),
      to: to.describe('Highest frequency'),
      unit: z
        .enum(['Hz', 'orders'])
        .default('Hz')
        .describe('Unit of from and to. orders: multiples of the speed that the key speed of the tag names'),
      ...ownFields,
    }),
    z.strictObject({
      type: z.literal('envelope'),
      from: from.describe('Lowest frequency of the carrier, in Hz'),
      to: to.describe('Highest frequency of the carrier, in Hz'),
      peaks: z
        .int()
        .min(1)
        .max(PEAKS_MAX)
        .default(PEAKS_DEFAULT)
        .describe('Lines of the spectrum that become tags, the largest first'),
    }),
    z.strictObject({ type: z.literal('velocity'), ...velocityBand, ...ownFields }),
    z.strictObject({
      type: z.literal('zone'),
      ...velocityBand,
      machine: z
        .enum(machines)
        .optional()
        .describe('Group and foundation of ISO 20816-3. Group 1: above 300 kW; group 2: 15 to 300 kW'),
      limits: z
        .tuple([z.number().positive(), z.number().positive(), z.number().positive()])
        .refine(([a, b, c]) => a < b && b < c, { error: 'expected three rising limits' })
        .optional()
        .describe('Upper limits of the zones A, B and C, in mm/s, in place of machine'),
      ...ownFields,
    }),
  ])
  .superRefine((feature, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ('from' in feature && feature.from >= feature.to)
      issue('to', `expected a frequency above ${feature.from}, found ${feature.to}`);
    if (feature.type === 'zone' && (feature.machine === undefined) === (feature.limits === undefined))
      issue('machine', 'a zone requires either machine or limits');
  });
type FeatureConfig = z.infer<typeof featureSchema>;

const featuresDefault: Readonly<Record<string, FeatureConfig>> = {
  rms: { type: 'rms', deadband: 0 },
  peak: { type: 'peak', deadband: 0 },
  crest: { type: 'crest', deadband: 0 },
  kurtosis: { type: 'kurtosis', deadband: 0 },
};

/** Fields of tags that may be waveforms. */
export const waveformFields = {
  sampleRate: z.number().positive().optional().describe('Waveform: samples a second, in Hz'),
  samplesMin: z
    .int()
    .min(16)
    .max(WAVEFORM_SAMPLES_MAX)
    .optional()
    .describe(
      `Waveform: fewest samples. A shorter one makes its features bad with the reason waveform-short. Default: ${SAMPLES_MIN_DEFAULT}`,
    ),
  speed: z.string().optional().describe('Waveform: tag with the speed of the machine, for features in orders'),
  speedUnit: z.enum(['rpm', 'Hz']).optional().describe('Waveform: unit of the speed. Default: rpm'),
  features: z
    .record(z.string().min(1), featureSchema)
    .refine((features) => Object.keys(features).length > 0, { error: 'expected at least one feature' })
    .optional()
    .describe(
      'Waveform: features by name. Each is a tag, named after the waveform and the feature: pump-1.vibration.rms. Default: rms, peak, crest, kurtosis',
    ),
} as const;

type WaveformConfig = {
  readonly unit: string;
  readonly sampleRate?: number | undefined;
  readonly samplesMin?: number | undefined;
  readonly speed?: string | undefined;
  readonly speedUnit?: 'rpm' | 'Hz' | undefined;
  readonly features?: Readonly<Record<string, FeatureConfig>> | undefined;
};

/** Returns the problems of the waveform fields of a tag. */
export function waveformProblems(
  tag: WaveformConfig,
  isWaveform: boolean,
): readonly { readonly path: readonly string[]; readonly message: string }[] {
  if (!isWaveform)
    return Object.keys(waveformFields)
      .filter((key) => tag[key as keyof WaveformConfig] !== undefined)
      .map((key) => ({ path: [key], message: 'only a tag with type: waveform has this key' }));
  const { sampleRate, samplesMin = SAMPLES_MIN_DEFAULT, speed } = tag;
  if (sampleRate === undefined)
    return [{ path: ['sampleRate'], message: 'a waveform requires sampleRate, the samples a second' }];
  const lowest = (PERIODS_MIN * sampleRate) / samplesMin;
  return Object.entries(featuresOf(tag)).flatMap(([name, feature]) => {
    const problem = (key: string, message: string) => [{ path: ['features', name, key], message }];
    if (!('from' in feature)) return [];
    if (feature.type === 'band' && feature.unit === 'orders')
      return speed === undefined ? problem('unit', 'orders require speed, the tag with the speed of the machine') : [];
    if (feature.to > sampleRate / 2)
      return problem(
        'to',
        `${sampleRate} samples a second have frequencies up to ${sampleRate / 2} Hz, found ${feature.to}`,
      );
    if (feature.to - feature.from < sampleRate / samplesMin)
      return problem(
        'to',
        `${samplesMin} samples (samplesMin) resolve ${sampleRate / samplesMin} Hz; expected a wider band`,
      );
    if (feature.type !== 'velocity' && feature.type !== 'zone') return [];
    if (velocityFactor(tag.unit) === undefined)
      return problem(
        'type',
        `a ${feature.type} requires the unit m/s², m/s2, g or mm/s of the waveform, found '${tag.unit}'`,
      );
    return feature.from < lowest
      ? problem('from', `${samplesMin} samples (samplesMin) are enough from ${lowest} Hz on, found ${feature.from}`)
      : [];
  });
}

/** Returns the tags of a waveform: one for each number that a feature gives. */
export function waveformTags(name: string, tag: WaveformConfig): readonly TagDefinition[] {
  return Object.entries(featuresOf(tag)).flatMap(([id, feature]): readonly TagDefinition[] => {
    const plain = { range: undefined, deadband: 0 };
    if (feature.type === 'envelope')
      return featureTagNames(name, id, feature).map((itsName, index) => ({
        ...plain,
        name: itsName,
        unit: index % 2 === 0 ? 'Hz' : tag.unit,
      }));
    const names = feature.type === 'zone' ? { 1: 'A', 2: 'B', 3: 'C', 4: 'D' } : undefined;
    return [
      {
        name: `${name}.${id}`,
        unit: unitOf(feature, tag.unit),
        range: feature.range,
        deadband: feature.deadband,
        names,
      },
    ];
  });
}

/** Returns the names of the tags of a feature. @param feature As it is in the file, even if it is invalid. */
export function featureTagNames(waveform: string, id: string, feature: unknown): readonly string[] {
  const { type, peaks = PEAKS_DEFAULT } = { ...(feature as { readonly type?: unknown; readonly peaks?: unknown }) };
  if (type !== 'envelope') return [`${waveform}.${id}`];
  return Array.from({ length: Math.min(Number(peaks) || 0, PEAKS_MAX) }, (_, index) =>
    ['frequency', 'amplitude'].map((part) => `${waveform}.${id}.${index + 1}.${part}`),
  ).flat();
}

/** Returns the rules of a tag whose fields are valid. */
export function waveformRules(tag: WaveformConfig): WaveformRules {
  const { sampleRate, samplesMin = SAMPLES_MIN_DEFAULT, unit, speed, speedUnit = 'rpm' } = tag;
  invariant(sampleRate !== undefined, 'The schema accepts no waveform without sampleRate');
  return {
    sampleRate,
    samplesMin,
    unit,
    features: Object.values(featuresOf(tag)).map(ruleOf),
    speed: speed === undefined ? undefined : { tag: speed, toHz: speedUnit === 'rpm' ? 1 / 60 : 1 },
  };
}

/** True for each number of the features that needs the speed of the machine. */
export function needsSpeed({ features }: WaveformRules): readonly boolean[] {
  return features.flatMap((feature) =>
    Array.from({ length: outputsOf(feature) }, () => feature.type === 'band' && feature.band.orders),
  );
}

function featuresOf({ features = featuresDefault }: WaveformConfig): Readonly<Record<string, FeatureConfig>> {
  return features;
}

function ruleOf(feature: FeatureConfig): WaveformFeature {
  if (!('from' in feature)) return { type: feature.type };
  const band = { from: feature.from, to: feature.to, orders: feature.type === 'band' && feature.unit === 'orders' };
  switch (feature.type) {
    case 'band':
    case 'velocity':
      return { type: feature.type, band };
    case 'envelope':
      return { type: feature.type, band, peaks: feature.peaks };
    case 'zone':
      return { type: feature.type, band, limits: feature.limits ?? zoneLimits[feature.machine ?? 'group-2-rigid'] };
  }
}

function unitOf({ type }: FeatureConfig, unit: string): string {
  if (type === 'velocity') return 'mm/s';
  return type === 'crest' || type === 'kurtosis' || type === 'zone' ? '' : unit;
}
