import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { nowMs } from '../agent/agent-state.ts';
import type { JournalEntry } from '../agent/api-types.ts';
import { download } from '../parts/csv.ts';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { query, setQuery } from '../parts/router.ts';
import { RangeChoice, rangeOfQuery } from '../parts/time-range.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatDateTime, formatMoment } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { AlarmTabs } from './alarm-tabs.tsx';
import { alarmName, alarmText } from '../parts/alarm-text.ts';
import { alarmOf, type Journal, journalCsv, readJournalPart, withNewest, withOlder } from './journal.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

const REFRESH_MS = 10_000;
const ROWS_STEP = 200;
const priorities = ['critical', 'high', 'medium', 'low'] as const;

/** Every change of every alarm, with filter, search and time range. */
export function JournalPage(): JSX.Element {
  const range = rangeOfQuery('1d');
  const rows = useSignal(ROWS_STEP);
  const isLoading = useSignal(false);
  const key = range.name ?? `${range.fromMs}-${range.toMs}`;
  const { data, problem } = useAnswer(
    key,
    async (): Promise<Loaded> => {
      const { fromMs, toMs } = rangeOfQuery('1d');
      const newest = await readJournalPart(fromMs, toMs);
      const earlier = data.peek();
      return { key, journal: earlier?.key === key ? withNewest(earlier.journal, newest) : newest };
    },
    REFRESH_MS,
  );
  const priority = query.value.get('priority') ?? '';
  const search = query.value.get('q') ?? '';
  const journal = data.value?.journal;
  const showMore = (): void => {
    rows.value += ROWS_STEP;
    if (shown.length <= rows.value) void loadOlder(data, problem, isLoading);
  };
  const shown = (journal?.changes ?? []).filter((entry) => isShown(entry, priority, search));
  return (
    <>
      <AlarmTabs>
        <RangeChoice names={['1h', '8h', '1d', '7d', '30d']} present={range} />
        <select
          value={priority}
          aria-label={t('alarms.priority')}
          onChange={(event) => setQuery({ priority: event.currentTarget.value })}
        >
          <option value="">{t('journal.everyPriority')}</option>
          {priorities.map((each) => (
            <option key={each} value={each}>
              {word('priority', each)}
            </option>
          ))}
        </select>
        <input
          type="search"
          value={search}
          placeholder={t('journal.search')}
          aria-label={t('journal.search')}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <button type="button" disabled={shown.length === 0} onClick={() => download('alarms.csv', journalCsv(shown))}>
          CSV
        </button>
      </AlarmTabs>
      <Problem text={problem} />
      <p class="hint" role="status">
        {journal === undefined ? t('page.loading') : t('journal.count', { count: shown.length })}{' '}
        {journal?.complete === false && t('journal.more.loaded', { time: formatDateTime(oldestMs(journal)) })}
      </p>
      <JournalTable changes={shown.slice(0, rows.value)} />
      {(shown.length > rows.value || journal?.complete === false) && (
        <button type="button" disabled={isLoading} onClick={showMore}>
          {t('journal.more')}
        </button>
      )}
    </>
  );
}

/** Changes of a range of the address. */
type Loaded = { readonly key: string; readonly journal: Journal };

async function loadOlder(
  data: Signal<Loaded | undefined>,
  problem: Signal<string | undefined>,
  isLoading: Signal<boolean>,
): Promise<void> {
  const earlier = data.peek();
  if (earlier === undefined || earlier.journal.complete) return;
  isLoading.value = true;
  try {
    data.value = { key: earlier.key, journal: await withOlder(earlier.journal) };
  } catch (error) {
    problem.value = messageOf(error);
  } finally {
    isLoading.value = false;
  }
}

function oldestMs({ changes, from_ms }: Journal): number {
  return changes.at(-1)?.timestamp_ms ?? from_ms;
}

function isShown(entry: JournalEntry, priority: string, search: string): boolean {
  if (priority !== '' && entry.priority !== priority) return false;
  const text = [
    alarmOf(entry),
    entry.message,
    alarmText(entry),
    entry.by,
    entry.comment,
    entry.state,
    entry.change,
  ].join(' ');
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((each) => text.toLowerCase().includes(each));
}

function JournalTable({ changes }: { readonly changes: readonly JournalEntry[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t('alarms.journal')}>
      <table id="journal" class="alarms">
        <thead>
          <tr>
            <th scope="col">{t('journal.time')}</th>
            <th scope="col">
              <span class="unseen">{t('alarms.priority')}</span>
            </th>
            <th scope="col">{t('alarms.alarm')}</th>
            <th scope="col">{t('journal.change')}</th>
            <th scope="col">{t('alarms.state')}</th>
            <th scope="col">{t('journal.message')}</th>
            <th scope="col">{t('alarms.by')}</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((entry) => (
            <tr key={entry.id} data-state={entry.state} data-priority={entry.priority}>
              <td class="onset">{formatMoment(entry.timestamp_ms, nowMs.value)}</td>
              <td>
                {entry.priority !== undefined && (
                  <PriorityMark priority={entry.priority} isFilled={entry.state === 'unacknowledged'} />
                )}
              </td>
              <td class="name" title={alarmOf(entry)}>
                {alarmName({ alarm: alarmOf(entry) })}
              </td>
              <td class="change">{word('cause', entry.change ?? entry.cause ?? '')}</td>
              <td class="state">{word('state', entry.state ?? '')}</td>
              <td class="cause">{alarmText(entry)}</td>
              <td class="by">
                {entry.by}
                {typeof entry.comment === 'string' && <q>{entry.comment}</q>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
