import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelStanding } from '../../domain/rollout/rollout-plan.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { readableRejections, readRejections } from './rejected-versions.ts';
import { readPointer } from './version-pointers.ts';

/**
 * Reads the active, previous, pinned and rejected versions of a model.
 *
 * @throws {OperatingError} 'model-file-invalid'
 */
export async function readStanding(directory: string, name: string): Promise<ModelStanding> {
  const folder = join(directory, name);
  const [active, previous, activatedMs, pinnedMs, rejected] = await Promise.all([
    readPointer(join(folder, 'active')),
    readPointer(join(folder, 'previous')),
    modifiedMs(join(folder, 'active')),
    modifiedMs(join(folder, 'pinned')),
    readRejections(directory, name),
  ]);
  return { active, previous, activatedMs, pinned: pinnedMs !== undefined, rejected };
}

/**
 * Returns the version for an automatic rollback from a version that failed; undefined if that one is not active now.
 *
 * @throws {OperatingError} 'model-rollback-refused' (reject).
 */
export function rollbackTarget(name: string, from: number, standing: ModelStanding): number | undefined {
  const { active, previous, pinned, rejected } = standing;
  const refused = (reason: string) =>
    inferenceFailure('model-rollback-refused', `Model '${name}' stays at version ${from}: ${reason}`);
  if (active !== from) return undefined;
  if (pinned) throw refused('it is pinned');
  if (previous === undefined || previous === from) throw refused('it has no previous version');
  if (rejected.some(({ version }) => version === previous)) throw refused(`version ${previous} was rejected too`);
  return previous;
}

/**
 * Checks that no rollout rejected a version. After an automatic rollback, `previous` is the rejected version.
 *
 * @throws {OperatingError} 'model-rollback-refused' (reject).
 */
export async function checkNotRejected(directory: string, name: string, version: number): Promise<void> {
  const rejected = await readableRejections(directory, name);
  const rejection = rejected.find((each) => each.version === version);
  if (rejection === undefined) return;
  throw inferenceFailure(
    'model-rollback-refused',
    `The previous version ${name}@${version} was rejected: ${rejection.reason}. To use it nevertheless: andon models activate ${name}@${version}`,
  );
}

/** Returns the time of the last write; undefined if the file is missing. */
async function modifiedMs(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs;
}
