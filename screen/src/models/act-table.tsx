import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ModelAct } from '../agent/api-types.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatDateTime } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { readActs } from './act-log.ts';
import { changes } from './model-acts.ts';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 5000;
const PAGE = 50;

/** Acts on a model, the newest first, with the result of the check of the log. */
export function ActLog({ model }: { readonly model: string }): JSX.Element {
  const count = useSignal(PAGE);
  const { data, problem } = useAnswer(
    JSON.stringify([model, count.value, changes.value]),
    () => readActs(model, { limit: count.value }),
    REFRESH_MS,
  );
  const log = data.value;
  return (
    <section class="panel" aria-labelledby="log-title">
      <h2 id="log-title">{t('models.section.log')}</h2>
      <Problem text={problem} />
      {log !== undefined && (
        <>
          {log.broken === null ? (
            <p>{t('models.log.intact')}</p>
          ) : (
            <p class="problem">{t('models.log.broken', log.broken)}</p>
          )}
          {log.entries.length === 0 ? <p>{t('models.log.none')}</p> : <Entries entries={log.entries.toReversed()} />}
          {log.entries.length === count.value && (
            <button type="button" onClick={() => (count.value += PAGE)}>
              {t('models.more')}
            </button>
          )}
        </>
      )}
    </section>
  );
}

function Entries({ entries }: { readonly entries: readonly ModelAct[] }): JSX.Element {
  return (
    <div class="scroll">
      <table id="model-log">
        <thead>
          <tr>
            <th scope="col">{t('models.log.time')}</th>
            <th scope="col">{t('models.log.actor')}</th>
            <th scope="col">{t('models.log.action')}</th>
            <th scope="col">{t('models.version')}</th>
            <th scope="col">{t('models.log.outcome')}</th>
          </tr>
        </thead>
        <tbody>
          {entries.map(({ sequence, timestamp_ms, actor, action, version, outcome, detail }) => (
            <tr key={sequence}>
              <td>{formatDateTime(timestamp_ms)}</td>
              <td>{actor}</td>
              <td>{t(`models.act.${action}`)}</td>
              <td>{version ?? '–'}</td>
              <td class="reason" data-bad={outcome === 'refused'}>
                {outcome === 'ok' ? t('models.log.ok') : t('models.log.refused', { reason: textOf(detail['reason']) })}
                <small>
                  {' '}
                  {[detail['url'], detail['folder'], detail['because']].filter(Boolean).map(textOf).join(' ')}
                </small>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
