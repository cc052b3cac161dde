import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { alarms, connection, health, isLive, lastDataMs, nowMs, watches } from '../agent/agent-state.ts';
import { Lamp } from '../parts/lamp.tsx';
import { looks, openAlarms } from '../agent/plant-lamp.ts';
import { alarmName, alarmReading } from '../parts/alarm-text.ts';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { StackLight } from '../parts/stack-light.tsx';
import { isOpen, isUnacknowledged, urgency } from '../agent/watch-look.ts';
import { formatSpan, formatTime } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { wallLayout } from './wall-layout.ts';

/** Alarms that fit below the tiles. */
const ALARMS_MAX = 4;

/** Share of the height of the screen that the header, and one line of an alarm, take. */
const HEADER_SHARE = 0.11;
const ALARM_SHARE = 0.053;

/** Wall view: no controls, readable from 5 m. Number and names of the watches decide the size of the tiles. */
export function KioskPage(): JSX.Element {
  const { value: link } = connection;
  const tiles = [...looks.value]
    .map(([id, look]) => ({ id, look, alarm: alarms.value.get(`watch/${id}`), watch: watches.value.get(id)?.value }))
    .sort((a, b) => urgency(b.look, b.alarm) - urgency(a.look, a.alarm) || a.id.localeCompare(b.id));
  const { width, height } = useWindowSize();
  const shownAlarms = openAlarms.value.slice(0, ALARMS_MAX);
  const { columns, nameShare } = wallLayout(
    tiles.map(({ id }) => id),
    { width, height: height * (1 - HEADER_SHARE - ALARM_SHARE * shownAlarms.length) },
  );
  return (
    <main class="kiosk" data-link={isLive.value ? 'live' : 'away'}>
      <header>
        <StackLight />
        <h1>{health.value?.agent ?? 'andon'}</h1>
        <span role="status">
          {link.state === 'lost'
            ? `${t('connection.lost')} ${lastDataMs.value === undefined ? '' : t('watch.lastData', { time: formatTime(lastDataMs.value) })}`
            : t('alarms.open', { count: openAlarms.value.length })}
        </span>
        <time>{formatTime(nowMs.value)}</time>
      </header>
      <ul class="wall" style={{ '--columns': columns, '--name-size': `${100 * nameShare}cqw` }}>
        {tiles.map(({ id, look, alarm, watch }) => (
          <li
            key={id}
            class="tile"
            data-look={look}
            data-alarm={alarm?.state === 'normal' ? undefined : alarm?.state}
            data-priority={alarm?.priority}
          >
            <Lamp look={look} progress={watch?.learning?.progress} />
            <strong>{id}</strong>
            <span>{word('watch', look)}</span>
            {isOpen(alarm) && <PriorityMark priority={alarm.priority} isFilled={isUnacknowledged(alarm)} />}
          </li>
        ))}
      </ul>
      <ul class="wall-alarms">
        {shownAlarms.map((alarm) => (
          <li key={alarm.alarm} data-priority={alarm.priority}>
            <PriorityMark priority={alarm.priority} isFilled={isUnacknowledged(alarm)} />
            <strong>{alarmName(alarm)}</strong>
            <span>{[word('cause', alarm.cause), alarmReading(alarm)].filter((text) => text !== '').join(' · ')}</span>
            <time>{formatSpan(nowMs.value - (alarm.onset_ms ?? alarm.timestamp_ms))}</time>
          </li>
        ))}
      </ul>
    </main>
  );
}

/** Size of the window, px. */
function useWindowSize(): { readonly width: number; readonly height: number } {
  const size = useSignal({ width: innerWidth, height: innerHeight });
  useEffect(() => {
    const onResize = (): void => {
      size.value = { width: innerWidth, height: innerHeight };
    };
    addEventListener('resize', onResize);
    return () => removeEventListener('resize', onResize);
  }, [size]);
  return size.value;
}
