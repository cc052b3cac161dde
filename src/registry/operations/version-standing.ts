import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelStanding } from '../../domain/rollout/rollout-plan.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { readPointer } from './version-pointers.ts';
import { readRejections } from './rejected-versions.ts';

/**
 * What the model directory says of one model.
 *
 * @throws {OperatingError} 'model-file-invalid'
 */
export async function readStanding(directory: string, name: string): Promise<ModelStanding> {
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
 * The version to go back to from one that failed at work; undefined where that is not the active one any more.
 *
 * @throws {OperatingError} 'model-rollback-refused' (reject).
 */
export function rollbackTarget(name: string, from: number, standing: ModelStanding): number | undefined {
  const { active, previous, pinned, rejected } = standing;
  if (active !== from) return undefined;
  if (pinned) throw inferenceFailure('model-rollback-refused', `Model '${name}' is pinned to version ${from}`);
  const reason =
    previous === undefined || previous === from
      ? 'there was none before it'
      : rejected.some(({ version }) => version === previous)
        ? `version ${previous} was rejected as well`
        : '';
  if (reason === '') return previous;
  throw inferenceFailure(
    'model-rollback-refused',
    `Model '${name}' has no version to go back to from ${from}: ${reason}`,
  );
}

/**
 * Keeps a rollback from going forth to what a rollout found bad: after an automatic one, that is the version before.
 *
 * @throws {OperatingError} 'model-rollback-refused' (reject).
 */
export async function checkNotRejected(directory: string, name: string, version: number): Promise<void> {
  // A file that is damaged must not keep anybody from going back.
  const rejected = await readRejections(directory, name).catch(() => []);
  const rejection = rejected.find((each) => each.version === version);
  if (rejection === undefined) return;
  throw inferenceFailure(
    'model-rollback-refused',
    `${name}@${version}, the version before, was rejected: ${rejection.reason}; andon models activate ${name}@${version} uses it all the same`,
  );
}

/** When a file was last written; undefined where there is none. */
async function changedMs(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs;
}
