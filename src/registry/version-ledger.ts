import type { VersionLedger } from '../contracts/rollout-models.ts';
import type { Clock } from '../platform/clock.ts';
import type { VersionRegistry } from './version-registry.ts';
import { writeRejection } from './operations/rejected-versions.ts';
import { readStanding } from './operations/version-standing.ts';

/** The model directory as rollouts see it; a rollback is an act of the library, audited like any other. */
export function versionLedger(
  directory: string,
  library: Pick<VersionRegistry, 'rollbackFrom'>,
  clock: Clock,
): VersionLedger {
  return {
    standing: (name) => readStanding(directory, name),
    reject: (name, version, reason) =>
      writeRejection(directory, name, { version, reason, timestampMs: Math.round(clock.nowMs()) }),
    rollback: (name, from, reason) => library.rollbackFrom({ name, version: from }, reason),
  };
}
