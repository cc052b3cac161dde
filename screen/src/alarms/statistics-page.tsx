import { computed } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { nowMs } from '../agent/agent-state.ts';
import { openAlarms } from '../agent/plant-lamp.ts';
import { alarmName } from '../parts/alarm-text.ts';
import { RangeChoice, rangeOfQuery } from '../parts/time-range.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatDate, formatFrequency, formatPercent, formatSpan } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { type AlarmStatistics, alarmStatistics } from './alarm-statistics.ts';
import { AlarmTabs } from './alarm-tabs.tsx';
import { readJournal } from './journal.ts';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 60_000;
/** An alarm that is open for longer stands: nothing is done about it. */
const STANDING_MS = 86_400_000;

const standing = computed(() =>
  openAlarms.value.filter(({ onset_ms }) => nowMs.value - (onset_ms ?? nowMs.value) > STANDING_MS),
);

/** The load of the operators, as EEMUA 191 measures it. */
export function StatisticsPage(): JSX.Element {
  const range = rangeOfQuery('7d');
  const { data, problem } = useAnswer(
    range.name ?? '',
    () => {
      const { fromMs, toMs } = rangeOfQuery('7d');
      return readJournal(fromMs, toMs);
    },
    REFRESH_MS,
  );
  return (
    <>
      <AlarmTabs>
        <RangeChoice names={['1d', '7d', '30d']} present={range} />
      </AlarmTabs>
      <Problem text={problem} />
      {data.value === undefined ? (
        <p class="empty">{t('page.loading')}</p>
      ) : (
        <>
          {!data.value.complete && <p class="hint">{t('journal.incomplete')}</p>}
          <Figures
            figures={alarmStatistics(data.value.changes, {
              fromMs: data.value.complete ? data.value.from_ms : (data.value.changes.at(-1)?.timestamp_ms ?? 0),
              toMs: data.value.to_ms,
            })}
          />
        </>
      )}
    </>
  );
}

function Figures({ figures }: { readonly figures: AlarmStatistics }): JSX.Element {
  return (
    <>
      <dl class="cards">
        <Card name={t('statistics.raised')} value={String(figures.raised)} />
        <Card
          name={t('statistics.mean')}
          value={formatFrequency(figures.meanPerSpan)}
          isBad={figures.meanPerSpan > 1}
          note={t('statistics.meanTarget')}
        />
        <Card name={t('statistics.most')} value={String(figures.mostPerSpan)} isBad={figures.mostPerSpan > 10} />
        <Card
          name={t('statistics.flood')}
          value={formatPercent(figures.floodShare)}
          isBad={figures.floodShare > 0.01}
          note={t('statistics.floodTarget')}
        />
        <Card
          name={t('statistics.standing')}
          value={String(standing.value.length)}
          isBad={standing.value.length > 10}
        />
      </dl>
      <div class="columns">
        <Panel title={t('statistics.perDay')}>
          <DayBars days={figures.perDay} />
        </Panel>
        <Panel title={t('statistics.top')}>
          <Ranking
            rows={figures.top.map(({ alarm, raised, share }) => [
              alarmName({ alarm }),
              String(raised),
              formatPercent(share),
            ])}
            head={[t('alarms.alarm'), t('statistics.count'), t('statistics.share')]}
          />
        </Panel>
        <Panel title={t('statistics.chattering')}>
          <Ranking
            rows={figures.chattering.map(({ alarm, mostPerMinute }) => [alarmName({ alarm }), String(mostPerMinute)])}
            head={[t('alarms.alarm'), t('statistics.perMinute')]}
          />
        </Panel>
        <Panel title={t('statistics.standing')}>
          <Ranking
            rows={standing.value.map(({ alarm, onset_ms }) => [
              alarmName({ alarm }),
              formatSpan(nowMs.value - (onset_ms ?? 0)),
            ])}
            head={[t('alarms.alarm'), t('statistics.open')]}
          />
        </Panel>
        <Panel title={t('statistics.priorities')}>
          <Ranking
            rows={Object.entries(figures.byPriority).map(([priority, raised]) => [
              word('priority', priority),
              String(raised),
              formatPercent(raised / Math.max(1, figures.raised)),
            ])}
            head={[t('alarms.priority'), t('statistics.count'), t('statistics.share')]}
          />
        </Panel>
      </div>
    </>
  );
}

type CardProps = { readonly name: string; readonly value: string; readonly isBad?: boolean; readonly note?: string };

function Card({ name, value, isBad = false, note = '' }: CardProps): JSX.Element {
  return (
    <div data-bad={isBad}>
      <dt>{name}</dt>
      <dd>
        {value} <small>{note}</small>
      </dd>
    </div>
  );
}

function Panel({ title, children }: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <section class="panel" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function DayBars({ days }: { readonly days: AlarmStatistics['perDay'] }): JSX.Element {
  const most = Math.max(1, ...days.map(({ raised }) => raised));
  return (
    <table class="bars">
      <tbody>
        {days.map(({ dayMs, raised }) => (
          <tr key={dayMs}>
            <th scope="row">{formatDate(dayMs)}</th>
            <td class="number">{raised}</td>
            <td class="bar-cell">
              <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect width={(100 * raised) / most} height="8" />
              </svg>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Ranking({
  rows,
  head,
}: {
  readonly rows: readonly (readonly string[])[];
  readonly head: readonly string[];
}): JSX.Element {
  if (rows.length === 0) return <p class="empty small">{t('statistics.none')}</p>;
  return (
    <table>
      <thead>
        <tr>
          {head.map((name, column) => (
            <th key={name} scope="col" class={column === 0 ? '' : 'number'}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row[0]}>
            {row.map((text, column) => (
              <td key={head[column]} class={column === 0 ? '' : 'number'}>
                {text}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
