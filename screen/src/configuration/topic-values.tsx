import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { TopicReading } from '../agent/api-types.ts';
import { formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { entryOf, withEntry } from './document-edit.ts';
import { edit, text } from './draft.ts';

type TopicValue = TopicReading['values'][number];

/** Values of a topic, each with a button that makes it a tag. */
export function TopicValues({
  source,
  reading: { topic, payload, values, unnamed },
}: {
  readonly source: string;
  readonly reading: TopicReading;
}): JSX.Element {
  const problem = useSignal('');
  const add = (name: string, tag: TopicValue['tag']): void => {
    try {
      edit(withEntry(text.value, ['sources', source, 'tags', name], tag, 'line'));
      problem.value = '';
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <section class="panel" aria-label={topic}>
      <h2>
        <code>{topic}</code>
      </h2>
      {payload !== null && <pre class="payload">{payload}</pre>}
      {values.length === 0 && <p class="empty">{t('configuration.noValues')}</p>}
      {unnamed > 0 && <p class="hint">{t('configuration.unnamed', { count: unnamed })}</p>}
      {problem.value !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {values.length > 0 && (
        <table id="candidates">
          <thead>
            <tr>
              <th scope="col">{t('configuration.path')}</th>
              <th scope="col" class="number">
                {t('configuration.value')}
              </th>
              <th scope="col">{t('configuration.tagName')}</th>
              <th scope="col">
                <span class="unseen">{t('configuration.addTag')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {values.map((each) => (
              <ValueRow key={each.name} source={source} value={each} onAdd={add} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function ValueRow({
  source,
  value: { name, value, tag },
  onAdd,
}: {
  readonly source: string;
  readonly value: TopicValue;
  readonly onAdd: (name: string, tag: TopicValue['tag']) => void;
}): JSX.Element {
  const own = useSignal(name);
  const path = tag['metric'] ?? tag['value'] ?? '–';
  const wanted = own.value.trim();
  const isThere = wanted !== '' && entryOf(text.value, ['sources', source, 'tags', wanted]) !== undefined;
  const act = isThere ? t('configuration.inFile') : t('configuration.addTag');
  return (
    <tr data-path={path}>
      <td>
        <code>{path}</code>
      </td>
      <td class="number">{value === null ? '–' : formatNumber(value)}</td>
      <td>
        <input
          aria-label={`${t('configuration.tagName')}: ${path}`}
          value={own}
          onInput={(event) => (own.value = event.currentTarget.value)}
          maxLength={128}
        />
      </td>
      <td>
        <button
          type="button"
          aria-label={`${act}: ${path}`}
          disabled={wanted === '' || isThere}
          onClick={() => onAdd(wanted, tag)}
        >
          {act}
        </button>
      </td>
    </tr>
  );
}
