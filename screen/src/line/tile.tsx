import { type Signal, useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { alarms, nowMs, type WatchView } from '../agent/agent-state.ts';
import type { Alarm } from '../agent/api-types.ts';
import { Lamp } from '../parts/lamp.tsx';
import { looks } from '../agent/plant-lamp.ts';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { learningText } from '../parts/learning-text.ts';
import { follow, machinePath } from '../parts/router.ts';
import { reasonText } from '../parts/reason-text.ts';
import { ScoreBar } from '../parts/score-bar.tsx';
import { formatNumber, formatShare, formatSpan, formatTime } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { isOpen, isSuppressed, isUnacknowledged, type Look } from '../agent/watch-look.ts';

/** One watch: lamp, state, score against its threshold, the tag that is blamed, age of the last verdict. */
export function Tile({ watch }: { readonly watch: Signal<WatchView> }): JSX.Element {
  const { watch: id, last_verdict, learning, abnormal } = watch.value;
  const look = useComputed(() => looks.value.get(id) ?? 'unknown').value;
  const alarm = useComputed(() => alarms.value.get(`watch/${id}`)).value;
  const showsScore = look === 'normal' || look === 'abnormal' || look === 'uncertain';
  const verdict = showsScore ? last_verdict : null;
  return (
    <li class="tile" data-look={look} data-alarm={alarmLook(alarm)} data-priority={alarm?.priority}>
      <a href={machinePath(id)} onClick={follow}>
        <span class="head">
          <Lamp look={look} progress={learning?.progress} />
          <strong>{id}</strong>
          {isOpen(alarm) && <PriorityMark priority={alarm.priority} isFilled={isUnacknowledged(alarm)} />}
        </span>
        <span class="state">{stateText(look, watch.value, alarm)}</span>
        <ScoreBar score={verdict?.score} threshold={verdict?.threshold} abnormal={abnormal ?? undefined} />
        <span class="foot">
          <span class="blame">{blame(watch.value, look)}</span>
          <Age watch={watch} />
        </span>
      </a>
    </li>
  );
}

function alarmLook(alarm: Alarm | undefined): string | undefined {
  if (alarm === undefined || alarm.state === 'normal') return undefined;
  return alarm.state;
}

function stateText(look: Look, watch: WatchView, alarm?: Alarm): string {
  const { last_verdict, learning, since_ms, judged_ms } = watch;
  switch (look) {
    case 'normal':
    case 'abnormal': {
      const suppressed = alarm !== undefined && isSuppressed(alarm) ? `, ${word('state', alarm.state)}` : '';
      const name = word('watch', look) + suppressed;
      return `${name} · ${formatNumber(last_verdict?.score)} / ${formatNumber(last_verdict?.threshold)}`;
    }
    case 'learning':
      return `${word('watch', look)} ${formatShare(learning?.progress ?? 0)}`;
    case 'blind':
      return `${t('watch.blindSince', { time: formatTime(since_ms) })}: ${reasonText(watch)}`;
    case 'uncertain':
    case 'unknown':
      return `${word('watch', look)}: ${reasonText(watch)}`;
    case 'stale':
      return t('watch.staleSince', { time: judged_ms === null ? '–' : formatTime(judged_ms) });
    case 'away':
      return judged_ms === null ? word('watch', look) : t('watch.lastData', { time: formatTime(judged_ms) });
  }
}

/** The tag with the largest share of the score, while the watch is abnormal; while it learns, what it waits for. */
function blame({ last_verdict, learning, model }: WatchView, look: Look): string {
  const [first] = last_verdict?.contributions ?? [];
  if (look === 'abnormal' && first !== undefined) return `${first.tag} ${formatShare(first.share)}`;
  if (look !== 'learning') return model;
  return learning === null ? '' : learningText(learning);
}

/** Age of the last verdict. Each second changes this text only. */
function Age({ watch }: { readonly watch: Signal<WatchView> }): JSX.Element {
  const text = useComputed(() => {
    const { judged_ms } = watch.value;
    return judged_ms === null ? '–' : formatSpan(nowMs.value - judged_ms);
  });
  return (
    <time class="age" title={t('watch.age')}>
      {text}
    </time>
  );
}
