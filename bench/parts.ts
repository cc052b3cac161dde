import { drainAgent, drainLimit } from './drain.ts';
import { intakeLimit, intakePattern, intakeStored, intakeTags } from './mqtt-intake.ts';
import { outboxAgent, outboxLimit, outboxTableLimit } from './outbox-rows.ts';
import { samplesAgent, samplesLimit } from './samples.ts';
import { scansAgent, scansLimit } from './scans.ts';
import type { PartOptions } from './part-options.ts';
import { servePeer } from './peer.ts';

/*
 * The process in which one part of the agent, or the bare library that it is held against, is measured: a fresh one each
 * time, so that neither inherits the other's compiled code or garbage.
 */

const parts = {
  scansAgent,
  scansLimit,
  outboxAgent,
  outboxLimit,
  outboxTableLimit,
  samplesAgent,
  samplesLimit,
  drainAgent,
  drainLimit,
  intakeTags,
  intakePattern,
  intakeStored,
  intakeLimit,
} as const satisfies Readonly<Record<string, (options: PartOptions) => Promise<number>>>;

export type PartName = keyof typeof parts;

export type PartProtocol = {
  /** @returns What was done, per second. */
  readonly measure: { readonly params: PartOptions & { readonly part: PartName }; readonly result: number };
};

servePeer<PartProtocol>({ measure: ({ part, ...options }) => parts[part](options) });
