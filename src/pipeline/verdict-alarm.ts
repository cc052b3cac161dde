import { watchAlarmId } from '../domain/alarm/alarm.ts';
import { type BlamedTag, scoreMessage } from '../domain/alarm/alarm-message.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { AlarmInput } from './alarm-service.ts';
import type { WatchConfig } from './watch-config.ts';

/** A verdict of a watch with an alarm, and the state of the plant at its time. */
export type AlarmVerdict = {
  readonly verdict: Verdict;
  /** Abnormal side of the watch's threshold. */
  readonly abnormal: 'above' | 'below';
  readonly scoreExtreme: number | undefined;
  /** Returns the tags for the message of an alarm that is raised or clears. */
  readonly tags: () => readonly BlamedTag[];
  /** True if the state of the plant suppresses the alarm by design; undefined if the state is unknown. */
  readonly suppressed: boolean | undefined;
};

/** Returns the alarms of the watches. */
export function watchAlarms(watches: ReadonlyMap<string, WatchConfig>): readonly AlarmDefinition[] {
  return [...watches].flatMap(([watch, { alarm }]) =>
    alarm === undefined ? [] : [{ ...alarm, id: watchAlarmId(watch), watch, title: watch }],
  );
}

/** Returns a verdict as the condition of its watch's alarm. */
export function verdictAlarm({ verdict, abnormal, scoreExtreme, tags, suppressed }: AlarmVerdict): AlarmInput {
  const { watch, timestampMs, score, threshold } = verdict;
  return {
    alarm: watchAlarmId(watch),
    // Missing tags could hide a fault: what is left neither raises nor clears.
    condition: verdict.verdict === 'uncertain' ? 'unknown' : verdict.verdict,
    timestampMs,
    score,
    scoreExtreme,
    suppressed,
    raises: () => {
      const cause = `score-${abnormal}-threshold` as const;
      const occasion = { watch, score, threshold, tags: tags() };
      const [blamed] = occasion.tags;
      const { tag, value, unit, share, normalRange } = blamed ?? {};
      const [normalLow, normalHigh] = normalRange ?? [];
      const ofTag = { tag, value, unit, share, normal_low: normalLow, normal_high: normalHigh };
      return {
        cause,
        message: scoreMessage(cause, occasion),
        parameters: defined({ watch, score, threshold, ...ofTag }),
      };
    },
    clears: () => ({
      message: scoreMessage('returned-to-normal', { watch, score, threshold, tags: tags() }),
      parameters: defined({ watch, score, threshold }),
    }),
  };
}

function defined(values: Readonly<Record<string, string | number | undefined>>): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
