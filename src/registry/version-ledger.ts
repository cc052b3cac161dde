import type { VersionLedger } from '../contracts/rollout-models.ts';
import type { Clock } from '../platform/clock.ts';
import { writeRejection } from './operations/rejected-versions.ts';
import { readStanding } from './operations/version-standing.ts';
import type { VersionRegistry } from './version-registry.ts';

/** Returns the model directory as rollouts use it. A rollback is an operation of the registry and is logged there. */
export function versionLedger(
  directory: string,
  registry: Pick<VersionRegistry, 'rollbackFrom'>,
  clock: Clock,
): VersionLedger {
  return {
    standing: (name) => readStanding(directory, name),
    reject: (name, version, reason) =>
      writeRejection(directory, name, { version, reason, timestampMs: Math.round(clock.nowMs()) }),
    rollback: (name, from, reason) => registry.rollbackFrom({ name, version: from }, reason),
  };
}
