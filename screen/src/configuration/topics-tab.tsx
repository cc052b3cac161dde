import { type Signal, useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect } from 'preact/hooks';
import { readJson, sendJson } from '../agent/agent-api.ts';
import type { SourceState, TopicListing, TopicReading } from '../agent/api-types.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { isEditable } from './draft.ts';
import { TopicValues } from './topic-values.tsx';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

/** A listing ends after this time, and the next one begins. The first one is short: retained messages arrive immediately. */
const FIRST_ROUND_SECONDS = 1;
const ROUND_SECONDS = 3;
const SHOWN_MAX = 500;

/** The subscription. */
type Listening = { readonly source: string; readonly filter: string };

/** Topics of a broker with their values, any of which becomes a tag. */
export function TopicsTab(): JSX.Element {
  const { data } = useAnswer('sources', () =>
    readJson<{ readonly sources: readonly SourceState[] }>('/api/v1/sources'),
  );
  const listening = useSignal<Listening | undefined>(undefined);
  const source = useSignal('');
  const topics = useSignal<ReadonlyMap<string, TopicReading>>(new Map());
  const isComplete = useSignal(true);
  const chosen = useSignal('');
  const search = useSignal('');
  const problem = useSignal<string | undefined>(undefined);
  useEffect(
    () => listen(listening, { topics, isComplete, problem }),
    [listening.value, listening, topics, isComplete, problem],
  );
  if (!isEditable.value) return <p class="note">{t('configuration.needsRole')}</p>;
  const sources = (data.value?.sources ?? []).filter(({ type }) => type === 'mqtt' || type === 'sparkplug');
  const start = (next: Listening): void => {
    topics.value = new Map();
    isComplete.value = true;
    chosen.value = '';
    source.value = next.source;
    listening.value = next;
  };
  const reading = topics.value.get(chosen.value);
  return (
    <>
      <TopicForm
        sources={sources}
        isListening={listening.value !== undefined}
        onStart={start}
        onStop={() => (listening.value = undefined)}
      />
      <p class="hint" role="status">
        {listening.value === undefined
          ? t('configuration.listenHint')
          : t('configuration.listening', { count: topics.value.size })}{' '}
        {!isComplete.value && t('configuration.moreTopics')}
      </p>
      <Problem text={problem} />
      {topics.value.size > 0 && (
        <div class="columns registers">
          <TopicTable topics={[...topics.value.values()]} search={search} chosen={chosen} />
          {reading !== undefined && <TopicValues key={reading.topic} source={source.value} reading={reading} />}
        </div>
      )}
    </>
  );
}

/** Lists again and again until a listing fails, another one starts or the returned function is called. */
function listen(
  listening: Signal<Listening | undefined>,
  {
    topics,
    isComplete,
    problem,
  }: {
    readonly topics: Signal<ReadonlyMap<string, TopicReading>>;
    readonly isComplete: Signal<boolean>;
    readonly problem: Signal<string | undefined>;
  },
): (() => void) | undefined {
  const { value } = listening;
  if (value === undefined) return undefined;
  problem.value = undefined;
  const { source, filter } = value;
  const path = `/api/v1/sources/${encodeURIComponent(source)}/topics`;
  const round = async (seconds: number): Promise<void> => {
    try {
      const answer = await sendJson<TopicListing>(path, { seconds, ...(filter === '' ? {} : { filter }) });
      if (listening.value !== value) return;
      topics.value = merged(topics.value, answer.topics);
      isComplete.value &&= answer.is_complete;
      void round(ROUND_SECONDS);
    } catch (error) {
      if (listening.value !== value) return;
      problem.value = messageOf(error);
      listening.value = undefined;
    }
  };
  void round(FIRST_ROUND_SECONDS);
  return () => {
    if (listening.value === value) listening.value = undefined;
  };
}

/** Adds what a listing received. A value that it lacks keeps its last one. */
function merged(
  known: ReadonlyMap<string, TopicReading>,
  received: readonly TopicReading[],
): ReadonlyMap<string, TopicReading> {
  const next = new Map(known);
  for (const reading of received) {
    const before = known.get(reading.topic);
    const values = new Map([...(before?.values ?? []), ...reading.values].map((value) => [value.name, value]));
    const messages = (before?.messages ?? 0) + reading.messages;
    next.set(reading.topic, { ...reading, messages, values: [...values.values()] });
  }
  return new Map([...next].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function TopicForm({
  sources,
  isListening,
  onStart,
  onStop,
}: {
  readonly sources: readonly SourceState[];
  readonly isListening: boolean;
  readonly onStart: (listening: Listening) => void;
  readonly onStop: () => void;
}): JSX.Element {
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const field = (name: string) =>
      form.querySelector<HTMLInputElement | HTMLSelectElement>(`[name=${name}]`)?.value ?? '';
    if (isListening) onStop();
    else onStart({ source: field('source'), filter: field('filter').trim() });
  };
  return (
    <form class="watch-form" aria-label={t('configuration.topics')} onSubmit={submit}>
      <label>
        {t('configuration.source')}
        <select name="source" disabled={isListening}>
          {sources.map(({ source }) => (
            <option key={source}>{source}</option>
          ))}
        </select>
      </label>
      <label>
        {t('configuration.filter')}
        <input name="filter" placeholder="acme/+/press/#" maxLength={1000} disabled={isListening} />
      </label>
      <button type="submit" disabled={sources.length === 0}>
        {isListening ? t('configuration.stop') : t('configuration.listen')}
      </button>
    </form>
  );
}

function TopicTable({
  topics,
  search,
  chosen,
}: {
  readonly topics: readonly TopicReading[];
  readonly search: Signal<string>;
  readonly chosen: Signal<string>;
}): JSX.Element {
  const word = search.value.trim().toLowerCase();
  const found = topics.filter(({ topic }) => topic.toLowerCase().includes(word)).slice(0, SHOWN_MAX);
  return (
    <div>
      <input
        type="search"
        aria-label={t('configuration.searchTopics')}
        placeholder={t('configuration.searchTopics')}
        value={search}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      <div class="scroll" tabIndex={0} role="group" aria-label={t('configuration.topics')}>
        <table id="topics">
          <thead>
            <tr>
              <th scope="col">{t('configuration.topic')}</th>
              <th scope="col" class="number">
                {t('configuration.messages')}
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ topic, messages }) => (
              <tr key={topic} data-topic={topic}>
                <td>
                  <button type="button" aria-pressed={topic === chosen.value} onClick={() => (chosen.value = topic)}>
                    {topic}
                  </button>
                </td>
                <td class="number">{messages}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
