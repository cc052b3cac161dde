import type { AlarmTransition } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';

/**
 * What an operator can do about alarms. Each act resolves after its commit; where the record store takes none for now
 * ('retry'), the act is in effect and resolves at once, and is listed and announced after its commit. An end of the
 * agent before that loses it.
 *
 * @throws {OperatingError} 'alarm-unknown' | 'alarm-not-acknowledgeable' | 'alarm-not-shelved' |
 *   'alarm-out-of-service' (reject), 'alarms-not-restored' (retry), and the record store's own errors that are no 'retry'.
 */
export interface AlarmCommands {
  /** Whether the stored alarms could be read; before that nobody knows how the alarms are. */
  readonly restored: boolean;
  /**
   * Last transition of each watch that has an alarm configured, normal ones too, in the order of the config; none
   * while not `restored`.
   */
  list(): readonly AlarmTransition[];
  acknowledge(watch: string, by: string): Promise<AlarmTransition>;
  /** @param untilMs Shelving always ends by itself (ISA-18.2). */
  shelve(watch: string, untilMs: EpochMs, by: string): Promise<AlarmTransition>;
  unshelve(watch: string, by: string): Promise<AlarmTransition>;
}
