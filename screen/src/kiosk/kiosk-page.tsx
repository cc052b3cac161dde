import type { JSX } from 'preact';
import { alarms, connection, health, isLive, lastDataMs, nowMs, watches } from '../agent/agent-state.ts';
import { Lamp } from '../parts/lamp.tsx';
import { looks, openAlarms } from '../agent/plant-lamp.ts';
import { alarmText } from '../parts/alarm-text.ts';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { StackLight } from '../parts/stack-light.tsx';
import { isOpen, isUnacknowledged, urgency } from '../agent/watch-look.ts';
import { formatSpan, formatTime } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';

/** Alarms that fit below the tiles. */
const ALARMS_MAX = 4;

/** Wall view: no controls, readable from 5 m. The number of watches decides the size of the tiles. */
export function KioskPage(): JSX.Element {
  const { value: link } = connection;
  const tiles = [...looks.value]
    .map(([id, look]) => ({ id, look, alarm: alarms.value.get(`watch/${id}`), watch: watches.value.get(id)?.value }))
    .sort((a, b) => urgency(b.look, b.alarm) - urgency(a.look, a.alarm) || a.id.localeCompare(b.id));
  // The width of a tile limits the size of its text: with 12 tiles and 4 columns it is 5 % of the height of the screen.
  const columns = Math.max(1, Math.ceil(Math.sqrt((tiles.length * 4) / 3)));
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
      <ul class="wall" style={{ '--columns': columns }}>
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
        {openAlarms.value.slice(0, ALARMS_MAX).map((alarm) => (
          <li key={alarm.alarm} data-priority={alarm.priority}>
            <PriorityMark priority={alarm.priority} isFilled={isUnacknowledged(alarm)} />
            <span>{alarmText(alarm)}</span>
            <time>{formatSpan(nowMs.value - (alarm.onset_ms ?? alarm.timestamp_ms))}</time>
          </li>
        ))}
      </ul>
    </main>
  );
}
