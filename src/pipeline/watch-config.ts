import type { ModelReference } from '../domain/model/model-reference.ts';
import { modelReferencePattern, parseModelReference } from '../domain/model/model-reference.ts';
import * as z from 'zod';
import { MAJOR_DRIFT } from '../domain/model/drift.ts';
import { alarmPriorities } from '../domain/alarm/alarm.ts';
import { configObject, duration } from '../platform/config-fields.ts';

/** Rows that may wait for late samples; with more, memory would grow without making any verdict better. */
const LATE_ROWS_MAX = 10_000;

const modelReference = z
  .string()
  .regex(modelReferencePattern, { error: 'expected a model such as pump-anomaly or pump-anomaly@3' })
  .transform((text): ModelReference => parseModelReference(text) ?? { name: text, version: undefined })
  .describe('Name of the model; its active version, or a pinned one as in pump-anomaly@3');

const versionReference = (description: string) =>
  modelReference
    .refine(({ version }) => version !== undefined, { error: 'expected a version, such as pump-anomaly@4' })
    .describe(description);

const durationOrScan = (description: string) =>
  z.union([z.literal('scan'), duration(description, { minMs: 1, maxMs: 86_400_000 })], {
    error: 'expected a duration of 1ms to 1d, or scan',
  });

const windowSchema = configObject({
  step: durationOrScan('Spacing of the rows')
    .prefault('1s')
    .describe(
      'Spacing of the rows, which lie on its multiples since 1970; scan makes a row of each batch with the first tag',
    ),
  hop: durationOrScan('Advance between windows')
    .optional()
    .describe('Advance between windows, a multiple of step; every row where left out, or with scan'),
  maxAge: duration('A value is held for this long; then it counts as missing', { minMs: 1 })
    .optional()
    .describe('A value is held for this long, then it counts as missing; 5s or three steps, whichever is longer'),
  lateness: duration('How long after a grid point a sample stamped before it still counts', { maxMs: 3_600_000 })
    .optional()
    .describe(
      'How long a row waits for late samples; half a step, but 250ms at most. Of two samples of one tag with the same time, the later arrival counts. Not used with step: scan',
    ),
  minGood: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of good values every tag needs in a window; gaps within it are filled with the value before'),
}).superRefine((window, context) => {
  const { stepMs, hopMs, latenessMs } = window;
  if (stepMs === 'scan' || hopMs === 'scan' || hopMs === undefined) {
    if (stepMs !== 'scan' && (latenessMs ?? 0) / stepMs > LATE_ROWS_MAX) tooLate();
    return;
  }
  if (hopMs < stepMs || Math.abs(hopMs / stepMs - Math.round(hopMs / stepMs)) > 1e-9)
    context.addIssue({ code: 'custom', path: ['hop'], message: `must be a multiple of step, ${stepMs} ms` });
  if ((latenessMs ?? 0) / stepMs > LATE_ROWS_MAX) tooLate();

  function tooLate(): void {
    const message = `must be ${LATE_ROWS_MAX} steps or less`;
    context.addIssue({ code: 'custom', path: ['lateness'], message });
  }
});

const suppressWhenSchema = configObject({
  tag: z.string().min(1).describe('Tag that tells the state of the plant, such as whether the pump runs'),
  above: z.number().optional().describe('Suppressed while the tag is above this'),
  below: z.number().optional().describe('Suppressed while the tag is below this'),
}).refine(({ above, below }) => (above === undefined) !== (below === undefined), {
  error: 'expected either above or below',
});

const alarmSchema = configObject({
  threshold: z
    .union([z.literal('model'), z.number()], { error: 'expected model or a number' })
    .default('model')
    .describe("Decision line for the score; model takes the model's own"),
  abnormal: z
    .enum(['above', 'below'])
    .optional()
    .describe("Side of the threshold that is abnormal; the model's own where left out"),
  deadband: z
    .number()
    .min(0)
    .optional()
    .describe("How far back past the threshold the score must come to be normal again; the model's own where left out"),
  onDelay: duration('How long verdicts must be abnormal before the alarm is raised').prefault('0s'),
  offDelay: duration('How long verdicts must be normal before the alarm clears').prefault('0s'),
  priority: z.enum(alarmPriorities).default('medium').describe('How urgent an operator has to act'),
  suppressWhen: suppressWhenSchema
    .optional()
    .describe('Suppresses the alarm by design in a state of the plant where it means nothing, such as a stopped pump'),
  outOfService: z
    .boolean()
    .default(false)
    .describe('Takes the alarm out of service: it is judged and recorded, and nobody is alarmed'),
});

/** One entry of `watches:`: a model bound to tags, and the alarm it raises. */
const driftSchema = configObject({
  period: duration('Time over which values are counted before they are compared', { minMs: 60_000 }).prefault('1d'),
  warn: z
    .number()
    .positive()
    .default(MAJOR_DRIFT)
    .describe('Population stability index above which a tag is named; 0.1 is a slight shift, 0.25 a major one'),
}).describe('Warns when the machine no longer has the values that its model was trained on');

export const watchSchema = configObject({
  model: modelReference,
  shadow: versionReference(
    'A version of the same model that judges the same windows in silence, as in pump-anomaly@4: it is counted and compared, and alarms nobody',
  ).optional(),
  canary: versionReference(
    'A version of the same model that decides on this watch, as in pump-anomaly@4; where it fails on a window, the model of the watch decides',
  ).optional(),
  tags: z
    .array(z.string().min(1))
    .min(1, { error: 'a watch needs at least one tag' })
    .refine((tags) => new Set(tags).size === tags.length, { error: 'a tag is named twice' })
    .describe("Tags in the model's column order"),
  window: windowSchema.prefault({}).describe('How samples become windows; the length comes from the model'),
  alarm: alarmSchema.optional().describe('The alarm that abnormal verdicts raise; without it they are recorded only'),
  drift: driftSchema.prefault({}),
});

export type WatchConfig = z.infer<typeof watchSchema>;
export type AlarmConfig = z.infer<typeof alarmSchema>;
