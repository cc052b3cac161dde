import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { DatabaseKeeper } from '../file/database-keeper.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';
import { AlarmDatabase, type AlarmKey, type PendingAlarm } from './alarm-database.ts';

/** The alarms on disk. Calls throw {OperatingError} 'outbox-unavailable' (retry) if the file or the disk failed. */
export class AlarmStore {
  readonly #keeper: DatabaseKeeper<AlarmDatabase>;
  readonly #notices: string[] = [];
  #damagedAlarms = 0;

  constructor(path: string) {
    this.#keeper = new DatabaseKeeper({ name: 'alarm database', path, open: () => new AlarmDatabase(path) });
  }

  get health(): StoreHealth {
    const reason = this.#keeper.trouble ?? this.#damage();
    return { status: reason === undefined ? 'ok' : 'degraded', reason };
  }

  takeNotices(): readonly string[] {
    return [...this.#keeper.takeNotices(), ...this.#notices.splice(0)];
  }

  /** `health` has the error, except a FormatRefusal, which is thrown. */
  ensureOpen(nowMs: EpochMs): void {
    this.#keeper.ensureOpen(nowMs);
    if (this.#keeper.database === undefined || this.#keeper.trouble === undefined) return;
    try {
      this.#keeper.use(nowMs, (database) => database.probe());
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  /** The alarms are on disk when this returns. */
  store(alarms: readonly { readonly transition: AlarmTransition; readonly body: string }[], nowMs: EpochMs): void {
    this.#keeper.use(nowMs, (database) => database.store(alarms));
  }

  /** Marks alarms whose records are in the outbox. */
  clear(alarms: readonly AlarmKey[]): void {
    this.#keeper.database?.clear(alarms);
  }

  settle(nowMs: EpochMs): void {
    this.#keeper.use(nowMs, (database) => database.settle());
  }

  /** Returns the alarms whose records may be missing from the outbox; none while the file is closed. */
  pending(nowMs: EpochMs): readonly PendingAlarm[] {
    if (this.#keeper.database === undefined) return [];
    return this.#keeper.read(nowMs, (database) => database.pending());
  }

  alarms(nowMs: EpochMs): readonly AlarmTransition[] {
    const { transitions, damaged } = this.#keeper.read(nowMs, (database) => database.alarms());
    if (damaged > 0) this.#damagedAlarms = damaged;
    return transitions;
  }

  close(): void {
    try {
      this.#keeper.database?.settle();
    } catch (error) {
      // The next start settles again, which has no effect on records that exist.
      this.#notices.push(`The alarm database could not be settled: ${errorMessage(error)}`);
    } finally {
      this.#keeper.close();
    }
  }

  #damage(): string | undefined {
    if (this.#damagedAlarms > 0)
      return `${this.#damagedAlarms} stored alarms failed their checksum. These alarms start as normal`;
    const { quarantined } = this.#keeper;
    if (quarantined === undefined) return undefined;
    return `The alarm database was damaged and was moved to ${quarantined}. Its alarms start as normal`;
  }
}
