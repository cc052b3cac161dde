import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { nowMs } from '../agent/agent-state.ts';
import { readJson } from '../agent/agent-api.ts';
import type { SourceState } from '../agent/api-types.ts';
import { Reason } from '../parts/reason.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatMoment, formatNumber } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { isEditable } from './draft.ts';
import { WatchForm } from './watch-form.tsx';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 2000;
/** Rows of a source until a person wants all. */
const ROWS_MAX = 50;

/** Tags that were chosen for a new watch, in the order of the choice. */
const chosen = signal<readonly string[]>([]);

/** Sources with their state and live values, and the choice of tags for a new watch. */
export function SourcesTab(): JSX.Element {
  const { data, problem } = useAnswer(
    'sources',
    () => readJson<{ readonly sources: readonly SourceState[] }>('/api/v1/sources'),
    REFRESH_MS,
  );
  const search = useSignal('');
  const wanted = search.value.trim().toLowerCase();
  const sources = data.value?.sources;
  return (
    <>
      <Problem text={problem} />
      {isEditable.value && <WatchForm tags={chosen.value} onDone={() => (chosen.value = [])} />}
      {sources?.length === 0 && <p class="empty">{t('configuration.noSources')}</p>}
      {sources?.some(({ tags }) => tags.length > ROWS_MAX) === true && (
        <div class="tools">
          <input
            type="search"
            aria-label={t('configuration.searchTags')}
            placeholder={t('configuration.searchTags')}
            value={search}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        </div>
      )}
      {sources?.map((source) => (
        <SourcePanel
          key={source.source}
          source={{ ...source, tags: source.tags.filter(({ tag }) => tag.toLowerCase().includes(wanted)) }}
        />
      ))}
    </>
  );
}

function SourcePanel({
  source: { source, type, url, status, reason, reason_code, since_ms, tags },
}: {
  readonly source: SourceState;
}): JSX.Element {
  const showsAll = useSignal(false);
  const shown = showsAll.value ? tags : tags.slice(0, ROWS_MAX);
  return (
    <section class="panel source" aria-label={source} data-source={source}>
      <h2>
        {source} <small>{type}</small> {url !== null && <code>{url}</code>}{' '}
        <span class="status" data-status={status}>
          {word('health', status)}
        </span>{' '}
        <small>{formatMoment(since_ms, nowMs.value)}</small>
      </h2>
      {reason !== '' && (
        <p class="reason">
          <Reason of={{ reason, reason_code }} />
        </p>
      )}
      <div class="scroll" tabIndex={0} role="group" aria-label={t('configuration.tagsOf', { source })}>
        <table>
          <thead>
            <tr>
              {isEditable.value && (
                <th scope="col">
                  <span class="unseen">{t('configuration.choose')}</span>
                </th>
              )}
              <th scope="col">{t('configuration.tag')}</th>
              <th scope="col" class="number">
                {t('configuration.value')}
              </th>
              <th scope="col">{t('configuration.unit')}</th>
              <th scope="col">{t('configuration.quality')}</th>
              <th scope="col">{t('configuration.time')}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((tag) => (
              <TagRow key={tag.tag} tag={tag} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < tags.length && (
        <button type="button" class="more" onClick={() => (showsAll.value = true)}>
          {t('configuration.showAll', { count: tags.length })}
        </button>
      )}
    </section>
  );
}

function TagRow({ tag: reading }: { readonly tag: SourceState['tags'][number] }): JSX.Element {
  const { tag, value, text, unit, quality, timestamp_ms } = reading;
  return (
    <tr data-quality={quality}>
      {isEditable.value && (
        <td>
          <input
            type="checkbox"
            aria-label={t('configuration.chooseTag', { tag })}
            checked={chosen.value.includes(tag)}
            onChange={() => toggle(tag)}
          />
        </td>
      )}
      <td>{tag}</td>
      <td class="number">{text ?? (value === null ? '–' : formatNumber(value))}</td>
      <td>{unit}</td>
      <td class="quality">{qualityText(reading)}</td>
      <td>{timestamp_ms === null || timestamp_ms === 0 ? '–' : formatMoment(timestamp_ms, nowMs.value)}</td>
    </tr>
  );
}

function qualityText({ quality, reason }: SourceState['tags'][number]): string {
  const name = word('quality', quality);
  return quality === 'good' ? name : t('quality.text', { quality: name, reason: word('quality', reason) });
}

function toggle(tag: string): void {
  const { value } = chosen;
  chosen.value = value.includes(tag) ? value.filter((each) => each !== tag) : [...value, tag];
}
