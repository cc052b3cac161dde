import { type ModelReference, modelReferencePattern, parseModelReference } from '../domain/model/model-reference.ts';
import * as z from 'zod';
import { formatDuration } from '../domain/duration.ts';
import { MAJOR_DRIFT } from '../domain/model/drift.ts';
import { alarmPriorities } from '../domain/alarm/alarm.ts';
import { configObject, duration, locationField } from '../platform/config-fields.ts';

/** Most rows that may wait for late samples. More would use memory without better verdicts. */
const LATE_ROWS_MAX = 10_000;

const modelReference = z
  .string()
  .regex(modelReferencePattern, { error: 'expected a model such as pump-anomaly or pump-anomaly@3' })
  .transform((text): ModelReference => parseModelReference(text) ?? { name: text, version: undefined })
  .describe('Model of the watch: its active version, or a fixed version such as pump-anomaly@3');

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
      'Time between the rows of a window. Rows lie at multiples of it, counted from 1970. scan: each batch with the first tag makes a row',
    ),
  hop: durationOrScan('Advance between windows')
    .optional()
    .describe('Time between windows, a multiple of step. Default, and with scan: every row starts a window'),
  maxAge: duration('A value is held for this long; then it counts as missing', { minMs: 1 })
    .optional()
    .describe('How long a value is held before it counts as missing. Default: 5 s or three steps, whichever is longer'),
  lateness: duration('How long after a grid point a sample stamped before it still counts', { maxMs: 3_600_000 })
    .optional()
    .describe(
      'How long a row waits for late samples. Default: half a step, at most 250 ms. Of two samples of one tag with the same time, the later arrival counts. Not used with step: scan',
    ),
  minGood: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of good values that each tag needs in a window, 0 to 1. Gaps are filled with the previous value'),
  missingTags: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.25)
    .describe(
      'Share of the tags, 0 to 0.5, that may miss in a window: a model that can estimates them from the others, and the verdict is abnormal or uncertain. 0: a window with a missing tag is unknown',
    ),
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

export const suppressWhenSchema = configObject({
  tag: z.string().min(1).describe("Tag for the state of the plant, such as 'pump is running'"),
  above: z.number().optional().describe('Suppressed while the tag is above this'),
  below: z.number().optional().describe('Suppressed while the tag is below this'),
}).refine(({ above, below }) => (above === undefined) !== (below === undefined), {
  error: 'expected either above or below',
});

const alarmSchema = configObject({
  threshold: z
    .union([z.literal('model'), z.number()], { error: 'expected model or a number' })
    .default('model')
    .describe('Threshold of the score; model uses the threshold of the model'),
  abnormal: z
    .enum(['above', 'below'])
    .optional()
    .describe('Side of the threshold that is abnormal. Default: as in the model'),
  deadband: z
    .number()
    .min(0)
    .optional()
    .describe(
      'Distance from the threshold, on the normal side, that the score must reach to be normal again. Default: as in the model',
    ),
  onDelay: duration('On-delay: how long verdicts must be abnormal before the alarm is raised').prefault('0s'),
  offDelay: duration('Off-delay: how long verdicts must be normal before the alarm clears').prefault('0s'),
  priority: z.enum(alarmPriorities).default('medium').describe('Alarm priority: how soon an operator must act'),
  suppressWhen: suppressWhenSchema
    .optional()
    .describe(
      'Suppressed by design: the alarm is suppressed in a state of the plant in which it has no meaning, such as a stopped pump',
    ),
  outOfService: z
    .boolean()
    .default(false)
    .describe('Out of service: verdicts are judged and recorded, but no alarm is raised'),
});

const driftSchema = configObject({
  period: duration('Time over which values are collected before they are compared', { minMs: 60_000 })
    .prefault('1d')
    .describe(
      'Time over which values are collected before they are compared; longer if it has fewer than 200 judged windows',
    ),
  warn: z
    .number()
    .positive()
    .default(MAJOR_DRIFT)
    .describe('Population stability index above which a tag is reported: 0.1 is a slight shift, 0.25 a major one'),
}).describe('Drift monitoring: reports tags whose values differ from the training data of the model');

export const LEARN_MS_DEFAULT = 86_400_000;

const learnSchema = configObject({
  for: duration('Time of normal running that a model is trained on', { minMs: 10_000 }).prefault(
    formatDuration(LEARN_MS_DEFAULT),
  ),
  activate: z
    .enum(['propose', 'automatic'])
    .default('propose')
    .describe(
      'propose: a trained model waits for `andon models activate`. automatic: it is activated, with probation, if its training report shows that it detects injected faults',
    ),
  retrain: z
    .union([z.literal('never'), duration('Age at which a model is trained again', { minMs: 3_600_000 })], {
      error: 'expected never or a duration of 1h or more',
    })
    .default('never')
    .describe('Age of a model at which a new version is trained and proposed'),
}).describe('How a watch without an active model learns one from its own history');

/** One entry of `watches:`: a model bound to tags, and its alarm. */
export const watchSchema = configObject({
  model: modelReference
    .optional()
    .describe(
      'Model of the watch: its active version, or a fixed version such as pump-anomaly@3. Default: the id of the watch. Until a version is active, the watch is learning',
    ),
  shadow: versionReference(
    'Version of the same model that judges the same windows without raising alarms, such as pump-anomaly@4. Its verdicts are counted and compared',
  ).optional(),
  canary: versionReference(
    'Version of the same model that decides for this watch, such as pump-anomaly@4. If it fails on a window, the model of the watch decides',
  ).optional(),
  location: locationField()
    .optional()
    .describe(
      'Location of the machine, as ISA-95 enterprise/site/area/line. The page groups by it. Default: agent.location',
    ),
  tags: z
    .array(z.string().min(1))
    .min(1, { error: 'a watch needs at least one tag' })
    .refine((tags) => new Set(tags).size === tags.length, { error: 'a tag is listed twice' })
    .describe('Tags, in the column order of the model'),
  mode: configObject({
    tag: z.string().min(1).describe('Tag with few values, such as a recipe or a set point'),
  })
    .optional()
    .describe(
      'Modes of the machine: a model that is trained with it has a centre and a limit for each value of the tag. A value that it does not know makes the verdict unknown. The tag becomes the last tag of the watch if it is not one',
    ),
  window: windowSchema.prefault({}).describe('How samples become windows. The window length comes from the model'),
  alarm: alarmSchema.optional().describe('Alarm for abnormal verdicts. Without it, verdicts are only recorded'),
  learn: learnSchema.prefault({}),
  drift: driftSchema.prefault({}),
});

type WatchEntry = z.infer<typeof watchSchema>;

/** A watch with its model: the configured one, or one with the id of the watch. */
export type WatchConfig = Omit<WatchEntry, 'model'> & { readonly model: ModelReference };

/** Returns a watch with its model, and with the tag of its mode among its tags. */
export function withModel(id: string, watch: WatchEntry): WatchConfig {
  const { mode, tags } = watch;
  return {
    ...watch,
    tags: mode === undefined || tags.includes(mode.tag) ? tags : [...tags, mode.tag],
    model: watch.model ?? { name: modelNameFor(id), version: undefined },
  };
}

/** Returns the id of a watch as the name of a model: `Pump 1` becomes `pump-1`. */
export function modelNameFor(id: string): string {
  const name = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return name.slice(0, 64) || 'watch';
}
export type SuppressWhen = z.infer<typeof suppressWhenSchema>;
export type AlarmConfig = z.infer<typeof alarmSchema>;
