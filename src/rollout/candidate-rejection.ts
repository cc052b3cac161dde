import type { VersionLedger } from '../contracts/rollout-models.ts';
import { unfinishedRollback } from '../domain/rollout/rollout-plan.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';

export type RejectedCandidate = {
  readonly name: string;
  readonly version: number;
  readonly reason: string;
  /** True for the active version, which is then rolled back. */
  readonly isActive: boolean;
};

/**
 * Stores that a candidate was rejected, and rolls it back if it is active. The rejection is stored first: after a power
 * failure between the two, the next start finishes the rollback.
 *
 * @returns Reason of a refused rollback; undefined if it was done, was not needed, or failed on the disk.
 */
export async function rejectCandidate(
  ledger: VersionLedger,
  candidate: RejectedCandidate,
  log: Logger,
): Promise<string | undefined> {
  const { name, version, reason, isActive } = candidate;
  const fields = { model: name, version };
  try {
    await ledger.reject(name, version, reason);
  } catch (error) {
    log.error(fields, `The rejection cannot be stored and is lost at a restart: ${errorMessage(error)}`);
  }
  if (!isActive) return undefined;
  try {
    await ledger.rollback(name, version, reason);
    log.warn(fields, `Rolled back: ${reason}`);
    return undefined;
  } catch (error) {
    log.error(fields, `The rollback failed: ${errorMessage(error)}`);
    return errorCode(error) === 'model-rollback-refused' ? errorMessage(error) : undefined;
  }
}

/** Finishes an interrupted rollback, so that no rejected version decides. */
export async function finishRollback(ledger: VersionLedger, name: string, log: Logger): Promise<void> {
  try {
    const rejection = unfinishedRollback(await ledger.standing(name));
    if (rejection === undefined) return;
    await ledger.rollback(name, rejection.version, rejection.reason);
    log.warn({ model: name, version: rejection.version }, `Rolled back: ${rejection.reason}`);
  } catch (error) {
    log.error({ model: name }, `A rejected version may be active, because its rollback failed: ${errorMessage(error)}`);
  }
}
