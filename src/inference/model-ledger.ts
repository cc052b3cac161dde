import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { VersionLedger } from '../contracts/trial-models.ts';
import type { ModelStanding } from '../domain/trial-plan.ts';
import type { Clock } from '../platform/clock.ts';
import { inferenceFailure } from './inference-failure.ts';
import { readPointer, writeActiveVersion } from './model-activation.ts';
import { readRejections, writeRejection } from './rejected-versions.ts';

/** A ledger on a model directory. */
export function modelLedger(directory: string, clock: Clock): VersionLedger {
  return {
    standing: (name) => readStanding(directory, name),
    reject: (name, version, reason) =>
      writeRejection(directory, name, { version, reason, timestampMs: Math.round(clock.nowMs()) }),
    rollback: (name, from) => rollBack(directory, name, from),
  };
}

/** @throws {OperatingError} 'model-file-invalid' */
async function readStanding(directory: string, name: string): Promise<ModelStanding> {
  const folder = join(directory, name);
  const [active, previous, activatedMs, pinnedMs, rejected] = await Promise.all([
    readPointer(join(folder, 'active')),
    readPointer(join(folder, 'previous')),
    changedMs(join(folder, 'active')),
    changedMs(join(folder, 'pinned')),
    readRejections(directory, name),
  ]);
  return { active, previous, activatedMs, pinned: pinnedMs !== undefined, rejected };
}

/**
 * Makes the version before the active one again, where it is still `from` that is active.
 * @throws {OperatingError} 'model-rollback-refused' (reject).
 */
async function rollBack(directory: string, name: string, from: number): Promise<void> {
  const { active, previous, pinned, rejected } = await readStanding(directory, name);
  if (active !== from) return;
  if (pinned) throw inferenceFailure('model-rollback-refused', `Model '${name}' is pinned to version ${from}`);
  if (previous === undefined || rejected.some(({ version }) => version === previous))
    throw inferenceFailure(
      'model-rollback-refused',
      `Model '${name}' has no version to go back to from ${from}: ${previous === undefined ? 'there was none before it' : `version ${previous} was rejected as well`}`,
    );
  await writeActiveVersion(directory, name, previous);
}

/** When a file was last written; undefined where there is none. */
async function changedMs(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs;
}
