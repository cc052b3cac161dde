import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';

/** Alarms that were raised in the last ten minutes. */
export type AlarmFlood = {
  /** True if they are more than an operator can handle. */
  readonly isFlood: boolean;
  readonly raised: number;
  readonly byCause: ReadonlyMap<string, number>;
};

/**
 * Alarm commands of an operator. Each command resolves after its commit. If the record store is unavailable ('retry'), the
 * command takes effect and resolves immediately, and is listed and published after its commit; it is lost if the agent
 * ends before that.
 *
 * @throws {OperatingError} 'alarm-unknown' | 'alarm-not-acknowledgeable' | 'alarm-not-shelved' |
 *   'alarm-out-of-service' (reject), 'alarms-not-restored' (retry), and 'reject' errors of the record store.
 */
export interface AlarmCommands {
  /** True after the stored alarms were read; before that the state of the alarms is unknown. */
  readonly restored: boolean;
  /**
   * Returns the last transition of each alarm, normal ones included, in the order of the configuration; empty until
   * `restored`.
   */
  list(): readonly AlarmTransition[];
  /** @param alarm Id of the alarm, such as `watch/pump-1`; the watch alone is accepted, too. */
  acknowledge(alarm: string, by: string, comment?: string): Promise<AlarmTransition>;
  /** @param untilMs Time at which the shelving ends automatically (ISA-18.2). */
  shelve(alarm: string, untilMs: EpochMs, by: string, comment?: string): Promise<AlarmTransition>;
  unshelve(alarm: string, by: string): Promise<AlarmTransition>;
}
