import { computed, signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { alarms, flood, isLive } from '../agent/agent-state.ts';
import type { Alarm } from '../agent/api-types.ts';
import { mayOperate } from '../agent/session.ts';
import { isOpen, isSuppressed } from '../agent/watch-look.ts';
import { openAlarms } from '../agent/plant-lamp.ts';
import { query } from '../parts/router.ts';
import { formatSpan } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { act, type AlarmAction, isActing, possible, problem, selected, shelvings } from './alarm-actions.ts';
import { AlarmTable } from './alarm-table.tsx';
import { AlarmTabs } from './alarm-tabs.tsx';
import { sound, SoundSwitch } from './alarm-sound.tsx';

const views = ['open', 'suppressed', 'all'] as const;
const view = signal<(typeof views)[number]>('open');
const comment = signal('');
const shelveFor = signal<string>('30m');

/** The alarms of the chosen view, most urgent first. */
const shown = computed((): readonly Alarm[] => {
  const all = [...alarms.value.values()];
  switch (view.value) {
    case 'open':
      return openAlarms.value;
    case 'suppressed':
      return all.filter(isSuppressed);
    case 'all':
      return [...openAlarms.value, ...all.filter((alarm) => !isOpen(alarm))];
  }
});

/** Active alarms, with acknowledging and shelving of several at a time. A link to one, `?alarm=ID`, selects it. */
export function AlarmsPage(): JSX.Element {
  void sound.value;
  const linked = alarms.value.get(query.value.get('alarm') ?? '');
  const linkedId = linked?.alarm;
  useEffect(() => {
    // Only when it is first there: it may leave the view later.
    if (linked !== undefined) view.value = isOpen(linked) ? 'open' : 'all';
  }, [linkedId]);
  return (
    <>
      <AlarmTabs>
        <div class="choice" role="group" aria-label={t('alarms.view')}>
          {views.map((each) => (
            <button key={each} type="button" aria-pressed={view.value === each} onClick={() => (view.value = each)}>
              {t(`alarms.view.${each}`)}
            </button>
          ))}
        </div>
        <SoundSwitch />
      </AlarmTabs>
      <FloodBanner />
      {mayOperate.value && <ActionBar />}
      <AlarmTable
        alarms={shown.value}
        linked={linkedId}
        onAction={(action) => void start(action)}
        empty={view.value === 'open' ? t('alarms.none') : t('alarms.noneHere')}
      />
    </>
  );
}

/** More alarms than an operator can handle: their causes are more use than their list. */
function FloodBanner(): JSX.Element | null {
  const { is_flood, raised, by_cause } = flood.value;
  if (!is_flood) return null;
  const causes = Object.entries(by_cause).map(([cause, count]) => `${word('cause', cause)}: ${count}`);
  return (
    <div class="banner flood" role="status" id="flood">
      <strong>{t('alarms.flood', { count: raised })}</strong> {causes.join(', ')}
    </div>
  );
}

function ActionBar(): JSX.Element {
  const ids = selected.value;
  const isIdle = isLive.value && !isActing.value;
  const button = (action: AlarmAction, text: string): JSX.Element => {
    const count = possible(action, ids).length;
    return (
      <button type="button" class="main" disabled={count === 0 || !isIdle} onClick={() => void start(action)}>
        {text}
        {count > 0 && ` (${count})`}
      </button>
    );
  };
  return (
    <div class="actions" role="toolbar" aria-label={t('alarms.actions')}>
      <span class="count">{t('alarms.selected', { count: ids.size })}</span>
      <input
        type="text"
        maxLength={500}
        value={comment}
        placeholder={t('alarms.comment')}
        aria-label={t('alarms.comment')}
        onInput={(event) => (comment.value = event.currentTarget.value)}
      />
      {button('acknowledge', t('alarms.acknowledge'))}
      <span class="joined">
        <select
          value={shelveFor}
          aria-label={t('alarms.shelveFor')}
          onChange={(event) => (shelveFor.value = event.currentTarget.value)}
        >
          {shelvings.map((duration) => (
            <option key={duration} value={duration}>
              {formatSpan(spanMs(duration))}
            </option>
          ))}
        </select>
        {button('shelve', t('alarms.shelve'))}
      </span>
      {button('unshelve', t('alarms.unshelve'))}
      <span class="problem" role="status">
        {problem}
      </span>
    </div>
  );
}

async function start(action: AlarmAction): Promise<void> {
  if (!mayOperate.value || !isLive.value || isActing.value) return;
  const text = comment.value.trim();
  const said = text === '' ? {} : { comment: text };
  const body = { acknowledge: said, shelve: { duration: shelveFor.value, ...said }, unshelve: {} }[action];
  await act(action, possible(action, selected.value), body);
  if (problem.value === undefined) comment.value = '';
}

function spanMs(duration: string): number {
  return Number.parseInt(duration, 10) * (duration.endsWith('m') ? 60_000 : 3_600_000);
}
