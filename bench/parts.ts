import { drainAgent, drainLimit, drainShortAgent, drainShortLimit } from './drain.ts';
import { intakeLimit, intakePattern, intakeStored, intakeTags } from './mqtt-intake.ts';
import { outboxAgent, outboxLimit, outboxTableLimit } from './outbox-rows.ts';
import { rollupsAgent, rollupsLimit } from './rollups.ts';
import { samplesAgent, samplesLimit } from './samples.ts';
import { scansAgent, scansLimit, scansTogether } from './scans.ts';
import type { PartOptions } from './part-options.ts';
import { daysAgent, daysLimit, flashAgent, flashLimit } from './storage-cost.ts';
import { servePeer } from './peer.ts';

/*
 * The process that measures one part of the agent, or the bare library that it is compared with: a fresh one each
 * time, so that neither inherits compiled code or garbage from the other.
 */

const parts = {
  scansAgent,
  scansLimit,
  scansTogether,
  outboxAgent,
  outboxLimit,
  outboxTableLimit,
  samplesAgent,
  samplesLimit,
  rollupsAgent,
  rollupsLimit,
  drainAgent,
  drainLimit,
  drainShortAgent,
  drainShortLimit,
  flashAgent,
  flashLimit,
  daysAgent,
  daysLimit,
  intakeTags,
  intakePattern,
  intakeStored,
  intakeLimit,
} as const satisfies Readonly<Record<string, (options: PartOptions) => Promise<number>>>;

export type PartName = keyof typeof parts;

export type PartProtocol = {
  /** @returns Items per second, or the figure of the part. */
  readonly measure: { readonly params: PartOptions & { readonly part: PartName }; readonly result: number };
};

servePeer<PartProtocol>({ measure: ({ part, ...options }) => parts[part](options) });
