import { type Signal, useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { alarms, nowMs, watches, type WatchView } from '../agent/agent-state.ts';
import { looks } from '../agent/plant-lamp.ts';
import { isOpen, isUnacknowledged } from '../agent/watch-look.ts';
import { Lamp } from '../parts/lamp.tsx';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { learningText } from '../parts/learning-text.ts';
import { reasonText } from '../parts/reason-text.ts';
import { follow, route } from '../parts/router.ts';
import { RangeChoice, rangeOfQuery } from '../parts/time-range.tsx';
import { formatNumber, formatShare, formatSpan, formatTime } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { MachineCharts } from './machine-charts.tsx';

/** One watch: its state, its verdicts and scores over time, and the tags behind them. */
export function MachinePage(): JSX.Element {
  const id = route.value.page === 'machine' ? route.value.watch : '';
  const watch = watches.value.get(id);
  if (watch === undefined)
    return <p class="empty">{watches.value.size === 0 ? t('page.loading') : t('machine.unknown', { watch: id })}</p>;
  return <Machine key={id} watch={watch} />;
}

function Machine({ watch }: { readonly watch: Signal<WatchView> }): JSX.Element {
  const { watch: id, model, location, learning, rollout } = watch.value;
  const look = useComputed(() => looks.value.get(id) ?? 'unknown').value;
  const range = rangeOfQuery('1h');
  return (
    <>
      <div class="tools machine-head">
        <Lamp look={look} progress={learning?.progress} />
        <h1>{id}</h1>
        <span class="state" data-look={look}>
          {word('watch', look)}
        </span>
        <small>{[model, location].filter(Boolean).join(' · ')}</small>
        <AlarmLine id={id} />
        <RangeChoice names={['15m', '1h', '8h', '1d', '7d', '30d']} present={range} />
        {range.name === undefined && <small>{t('range.zoomed')}</small>}
      </div>
      <StateFacts watch={watch} />
      {learning !== null && <Learning learning={learning} />}
      {rollout !== null && <p class="hint">{rolloutText(rollout)}</p>}
      <MachineCharts watch={watch} />
    </>
  );
}

function AlarmLine({ id }: { readonly id: string }): JSX.Element | null {
  const alarm = alarms.value.get(`watch/${id}`);
  if (alarm === undefined || alarm.state === 'normal') return null;
  return (
    <a class="alarm-line" href="/alarms" onClick={follow}>
      <PriorityMark priority={alarm.priority} isFilled={isOpen(alarm) && isUnacknowledged(alarm)} />
      {word('state', alarm.state)}
    </a>
  );
}

function StateFacts({ watch }: { readonly watch: Signal<WatchView> }): JSX.Element {
  const { last_verdict, reason, since_ms, judged_ms, state } = watch.value;
  const facts = [
    [t('machine.score'), `${formatNumber(last_verdict?.score)} / ${formatNumber(last_verdict?.threshold)}`],
    [t('machine.since'), `${formatTime(since_ms)} (${formatSpan(nowMs.value - since_ms)})`],
    [t('watch.age'), judged_ms === null ? '–' : formatSpan(nowMs.value - judged_ms)],
    ...(reason === '' || state === 'learning' ? [] : [[t('system.reason'), reasonText(watch.value)] as const]),
  ] as const;
  return (
    <dl class="cards machine-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Tags of which the seen values are shown at first. */
const MODES_MAX = 8;

/** How far the watch is in learning, the states of the machine that it saw, and the command that activates the model. */
function Learning({ learning }: { readonly learning: NonNullable<WatchView['learning']> }): JSX.Element {
  const { progress, reason, command, modes } = learning;
  const text = learningText(learning);
  // Tags that never changed have one value: they come last, and a long list is closed.
  const byTag = [...Map.groupBy(modes, ({ tag }) => tag)].sort(([, a], [, b]) => b.length - a.length);
  const texts = byTag.map(([tag, values]) => {
    const totalMs = values.reduce((sum, { seen_ms }) => sum + seen_ms, 0);
    const shares = values.map(({ value, name, seen_ms }) => `${name ?? value} (${formatShare(seen_ms / totalMs)})`);
    return `${tag} ${shares.join(', ')}`;
  });
  return (
    <section class="panel learning" aria-label={word('watch', 'learning')}>
      <progress value={progress} max={1} aria-label={word('watch', 'learning')} />
      <p>
        {formatShare(progress)} {text}
        {text !== reason && (
          <small class="detail" lang="en">
            {reason}
          </small>
        )}
      </p>
      {texts.length > 0 && <p>{t('machine.seen', { modes: texts.slice(0, MODES_MAX).join('; ') })}</p>}
      {texts.length > MODES_MAX && (
        <details>
          <summary>{t('machine.seenMore', { count: texts.length - MODES_MAX })}</summary>
          {texts.slice(MODES_MAX).join('; ')}
        </details>
      )}
      {command !== null && <code>{command}</code>}
    </section>
  );
}

function rolloutText(rollout: NonNullable<WatchView['rollout']>): string {
  const { kind, candidate, incumbent, windows, agreement, stopped } = rollout;
  if (stopped !== null) return t('machine.rolloutStopped', { kind, candidate, reason: stopped });
  const agree = agreement === null ? '–' : formatShare(agreement);
  return t('machine.rollout', { kind, candidate, incumbent, agree, windows });
}
