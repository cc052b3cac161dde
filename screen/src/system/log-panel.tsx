import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { readJson } from '../agent/agent-api.ts';
import { nowMs } from '../agent/agent-state.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatMoment } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 5000;
const levels = ['debug', 'info', 'warn', 'error'] as const;

type LogLine = {
  readonly timestamp_ms: number;
  readonly level: (typeof levels)[number];
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

/** The last lines of the agent's log, the newest first. */
export function LogPanel(): JSX.Element {
  const level = useSignal<string>('info');
  const search = useSignal('');
  const { data, problem } = useAnswer(
    level.value,
    () => readJson<{ readonly lines: readonly LogLine[] }>(`/api/v1/log?level=${level.value}`),
    REFRESH_MS,
  );
  const lines = (data.value?.lines ?? []).map((line) => ({ ...line, text: fieldsText(line.fields) }));
  const wanted = search.value.toLowerCase();
  const shown = lines.filter(({ message, text }) => `${message} ${text}`.toLowerCase().includes(wanted));
  return (
    <section class="panel" aria-labelledby="log-title">
      <h2 id="log-title">{t('system.log')}</h2>
      <div class="tools">
        <select
          value={level}
          aria-label={t('system.logLevel')}
          onChange={(event) => (level.value = event.currentTarget.value)}
        >
          {levels.map((each) => (
            <option key={each} value={each}>
              {t(`log.${each}`)}
            </option>
          ))}
        </select>
        <input
          type="search"
          value={search}
          placeholder={t('system.logSearch')}
          aria-label={t('system.logSearch')}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
        <span role="status">{t('system.logCount', { count: shown.length })}</span>
      </div>
      <Problem text={problem} />
      <div class="scroll log" tabIndex={0} role="group" aria-labelledby="log-title">
        <table id="log">
          <thead>
            <tr>
              <th scope="col">{t('journal.time')}</th>
              <th scope="col">{t('system.logLevel')}</th>
              <th scope="col">{t('journal.message')}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((line, index) => (
              <tr key={index} data-level={line.level}>
                <td>{formatMoment(line.timestamp_ms, nowMs.value)}</td>
                <td>{t(`log.${line.level}`)}</td>
                <td class="reason">
                  {line.message} <small>{line.text}</small>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function fieldsText(fields: LogLine['fields']): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}
