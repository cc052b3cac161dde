import type { JSX } from 'preact';
import type { TopicReading } from '../agent/api-types.ts';
import { t } from '../texts/language.ts';
import { ValueTable } from './value-table.tsx';

/** Values of a topic, each with a button that makes it a tag. */
export function TopicValues({
  source,
  reading: { topic, payload, values, unnamed },
}: {
  readonly source: string;
  readonly reading: TopicReading;
}): JSX.Element {
  return (
    <section class="panel" aria-label={topic}>
      <h2>
        <code>{topic}</code>
      </h2>
      {payload !== null && <pre class="payload">{payload}</pre>}
      {values.length === 0 && <p class="empty">{t('configuration.noValues')}</p>}
      {unnamed > 0 && <p class="hint">{t('configuration.unnamed', { count: unnamed })}</p>}
      <ValueTable
        source={source}
        values={values.map((each) => ({ ...each, path: each.tag['metric'] ?? each.tag['value'] ?? '–' }))}
      />
    </section>
  );
}
