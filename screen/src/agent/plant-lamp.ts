import { computed } from '@preact/signals';
import { alarms, health, isLive, nowMs, watches } from './agent-state.ts';
import { isOpen, isUnacknowledged, type Look, lookOf, priorityRank } from './watch-look.ts';

/** Open alarms, most urgent first: unacknowledged ones by priority, then by time. */
export const openAlarms = computed(() =>
  [...alarms.value.values()].filter(isOpen).sort((a, b) => {
    const byAction = Number(isUnacknowledged(b)) - Number(isUnacknowledged(a));
    const byPriority = priorityRank(b.priority) - priorityRank(a.priority);
    return byPriority || byAction || (b.onset_ms ?? b.timestamp_ms) - (a.onset_ms ?? a.timestamp_ms);
  }),
);

export const unacknowledgedCount = computed(() => openAlarms.value.filter(isUnacknowledged).length);

/** Looks of all watches; read again each second, as a verdict gets stale without an event. */
export const looks = computed((): ReadonlyMap<string, Look> => {
  const monotonicMs = nowMs.value > 0 ? performance.now() : 0;
  return new Map(
    [...watches.value].map(([id, watch]) => [id, lookOf(watch.value, isLive.value, monotonicMs)] as const),
  );
});

/** Color of the whole: green only while every watch is normal. A machine that nothing judges is not known to be well. */
export const plantLamp = computed((): 'red' | 'amber' | 'green' | 'off' => {
  if (!isLive.value) return 'off';
  const states = [...looks.value.values()];
  const status = health.value?.status;
  if (openAlarms.value.some(({ state }) => state === 'unacknowledged') || status === 'failed') return 'red';
  if (openAlarms.value.length > 0 || status === 'degraded') return 'amber';
  if (states.some((look) => look === 'abnormal' || look === 'blind')) return 'amber';
  return status === 'ok' && states.length > 0 && states.every((look) => look === 'normal') ? 'green' : 'off';
});
