import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { OutputInputs } from '../contracts/outputs/output.ts';
import type { WatchSummaries, WatchSummary } from '../contracts/watch-summaries.ts';
import type { Health } from '../platform/health.ts';
import type { LimitMonitor } from '../pipeline/limit-monitor.ts';

/** Components without which alarms are not stored. */
const stores: ReadonlySet<string> = new Set(['pipeline', 'alarms']);

/** Parts of the agent that know what outputs follow. */
export type OutputFactParts = {
  readonly alarms: Pick<AlarmCommands, 'list' | 'restored'>;
  readonly watches: WatchSummaries;
  readonly limits: Pick<LimitMonitor, 'blind'>;
  readonly events: LiveEvents;
  readonly health: Health;
};

/** Returns what outputs follow: alarms, the states of watches and tags with limits, and whether alarms are stored. */
export function outputInputs(parts: OutputFactParts): OutputInputs {
  const { alarms, watches, limits, events, health } = parts;
  return {
    facts: () => ({
      alarms: alarms.restored ? alarms.list() : undefined,
      watches: new Map(watches.summaries().map((summary) => [summary.watch, blindness(summary)])),
      blindTags: new Set(limits.blind().map(({ tag }) => tag.name)),
      storageFault: health.components().find(({ name, status }) => stores.has(name) && status !== 'ok')?.reason,
    }),
    onChange: (listener) =>
      events.subscribe(({ type }) => {
        if (type === 'alarm' || type === 'watch') listener();
      }),
  };
}

/** Returns why a watch has no present verdict; undefined if it has one, or had one a moment ago. */
function blindness({ state, reason, judgedMs }: WatchSummary): string | undefined {
  if (state === 'learning') return 'it is learning';
  if (state === 'blind') return reason;
  return judgedMs === undefined ? 'it has judged no window yet' : undefined;
}
