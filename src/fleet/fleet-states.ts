import * as z from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: 'expected 64 hexadecimal digits' });
/** A value goes into the text of a configuration, in which other characters could end a string or begin a key. */
const variableValue = z
  .string()
  .max(256)
  .regex(/^[\w.:/@-]*$/, { error: 'expected letters, digits and . : / @ _ -' });

export const fleetVariables = z.record(z.string().regex(/^\w{1,64}$/), variableValue);

const desiredModelSchema = z.strictObject({
  name: z.string().min(1).max(64),
  version: z.int().min(1),
  /** SHA-256 of the archive of the package, which is also its name in the object store. */
  sha256,
  /** HTTPS address of the archive; absent for one in the object store. */
  url: z.httpUrl().optional(),
});
export type DesiredModel = z.infer<typeof desiredModelSchema>;

/**
 * What a box should have. Strict: a box that does not know a key cannot fulfil it, and says so.
 * A new generation is a new order; the same generation is never carried out twice.
 */
export const desiredStateSchema = z.strictObject({
  generation: z.int().min(1),
  /** Versions that are active. Other models of the box stay as they are. */
  models: z.array(desiredModelSchema).max(100).default([]),
  /** Absent: the configuration stays as it is. */
  configuration: z.strictObject({ sha256, variables: fleetVariables.default({}) }).optional(),
  /** Rollout that set it, for people. */
  rollout: z.string().max(64).optional(),
});
export type DesiredState = z.infer<typeof desiredStateSchema>;

/**
 * none: no desired state. waiting: cannot be carried out now, tried again. applying: under way. probation: in use, and the
 * version before judges in parallel. ok: in use, probation passed. failed: refused or rolled back. deviates: was ok, then
 * changed on the box.
 */
const fleetStates = ['none', 'waiting', 'applying', 'probation', 'ok', 'failed', 'deviates'] as const;
export type FleetState = (typeof fleetStates)[number];

/** What a box says of itself. */
export const reportedStateSchema = z.object({
  box: z.string(),
  time_ms: z.number(),
  /** Generation that `state` is about; 0 for none. */
  generation: z.int().min(0),
  state: z.enum(fleetStates),
  /** Why; '' for the states none, applying and ok. */
  reason: z.string(),
  reason_code: z.string().nullable(),
  agent_version: z.string(),
  location: z.string().nullable(),
  models: z.array(z.object({ name: z.string(), active: z.int().nullable(), drift: z.number().nullable() })),
  configuration_sha256: z.string(),
  health: z.object({
    status: z.string(),
    /** Components that are not ok, at most 20. */
    components: z.array(z.object({ name: z.string(), status: z.string(), reason: z.string() })),
  }),
  /** Active alarms, by priority. */
  alarms: z.record(z.string(), z.int()),
  /** Hours until the outbox is full at the present rate; null if it does not grow. */
  disk_hours: z.number().nullable(),
});
export type ReportedState = z.infer<typeof reportedStateSchema>;
