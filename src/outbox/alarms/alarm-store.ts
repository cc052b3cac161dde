import type { AlarmTransition } from '../../domain/alarm/alarm.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { PendingAlarm } from './alarm-database.ts';
import { AlarmDatabase } from './alarm-database.ts';
import { databaseFault, quarantine } from '../file/database-file.ts';
import { unavailable } from '../file/outbox-errors.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';

/** Keeps the alarm file open whatever happens to it; a damaged one goes to quarantine and a new one is begun. */
export class AlarmStore {
  readonly #path: string;
  readonly #notices: string[] = [];
  #database: AlarmDatabase | undefined;
  #trouble: string | undefined;
  #damage: string | undefined;
  /** Set where a pending alarm may be missing in the outbox: at the start and after a failed append. */
  #unsettled = true;

  constructor(path: string) {
    this.#path = path;
  }

  get health(): StoreHealth {
    const reason = this.#trouble ?? this.#damage;
    return reason === undefined ? { status: 'ok', reason: '' } : { status: 'degraded', reason };
  }

  takeNotices(): readonly string[] {
    return this.#notices.splice(0);
  }

  /** Never throws: what is wrong is in `health`. */
  ensureOpen(nowMs: EpochMs): void {
    if (this.#database !== undefined) return;
    try {
      try {
        this.#database = new AlarmDatabase(this.#path);
      } catch (error) {
        if (databaseFault(error) !== 'damaged') throw error;
        this.#toQuarantine(error, nowMs);
        this.#database = new AlarmDatabase(this.#path);
      }
      this.#trouble = undefined;
      this.#unsettled = true;
    } catch (error) {
      this.#trouble = `The alarm database cannot be opened: ${errorMessage(error)}`;
    }
  }

  /** On the disk when this returns. @throws {OperatingError} 'outbox-unavailable' (retry). */
  store(alarms: readonly { readonly transition: AlarmTransition; readonly body: string }[], nowMs: EpochMs): void {
    this.#use(nowMs, (database) => database.store(alarms));
    this.#unsettled = true;
  }

  /** Their records are in the outbox. */
  clear(alarms: readonly { readonly watch: string; readonly number: number }[]): void {
    this.#database?.clear(alarms);
  }

  settle(nowMs: EpochMs): void {
    this.#use(nowMs, (database) => database.settle());
  }

  /** Alarms whose records may not be in the outbox; asks the file only where there can be any. */
  pending(nowMs: EpochMs): readonly PendingAlarm[] {
    if (!this.#unsettled) return [];
    return this.#use(nowMs, (database) => {
      database.settle();
      const pending = database.pending();
      this.#unsettled = pending.length > 0;
      return pending;
    });
  }

  alarms(nowMs: EpochMs): readonly AlarmTransition[] {
    const { transitions, damaged } = this.#use(nowMs, (database) => database.alarms());
    if (damaged > 0) this.#damage = `${damaged} stored alarms failed their checksum; these start as normal`;
    return transitions;
  }

  close(): void {
    const database = this.#database;
    this.#database = undefined;
    try {
      database?.settle();
    } catch (error) {
      // Settling again at the next start is harmless.
      this.#notices.push(`The alarm database could not be settled: ${errorMessage(error)}`);
    } finally {
      database?.close();
    }
  }

  #use<T>(nowMs: EpochMs, work: (database: AlarmDatabase) => T): T {
    if (this.#database === undefined) throw unavailable(this.#trouble ?? 'The alarm database is not open');
    try {
      const result = work(this.#database);
      this.#trouble = undefined;
      return result;
    } catch (error) {
      throw this.#failed(error, nowMs);
    }
  }

  #failed(error: unknown, nowMs: EpochMs): unknown {
    const fault = databaseFault(error);
    if (fault === 'other') return error;
    this.#trouble = `The alarm database failed: ${errorMessage(error)}`;
    const failure = unavailable(this.#trouble, error);
    if (fault === 'full') return failure;
    this.#database?.close();
    this.#database = undefined;
    if (fault === 'damaged') {
      this.#toQuarantine(error, nowMs);
      this.ensureOpen(nowMs);
    }
    return failure;
  }

  #toQuarantine(error: unknown, nowMs: EpochMs): void {
    const place = quarantine(this.#path, nowMs);
    this.#damage = `The alarm database was damaged and is in ${place}; alarms of before start as normal`;
    this.#notices.push(`The alarm database is damaged (${errorMessage(error)}) and was moved to ${place}.`);
  }
}
