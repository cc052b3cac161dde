import { computed, useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { alarms, connection, watches } from '../agent/agent-state.ts';
import { looks } from '../agent/plant-lamp.ts';
import { query, setQuery } from '../parts/router.ts';
import { t, word } from '../texts/language.ts';
import { urgency } from '../agent/watch-look.ts';
import { Tile } from './tile.tsx';

/** Ids of the watches, most urgent first, as one text: the page is drawn again only if the order changes. */
const order = computed(() =>
  [...looks.value]
    .map(([id, look]) => ({ id, rank: urgency(look, alarms.value.get(`watch/${id}`)) }))
    .sort((a, b) => b.rank - a.rank || a.id.localeCompare(b.id, undefined, { numeric: true }))
    .map(({ id }) => id)
    .join('\n'),
);

/** Start page: one tile for each watch, most urgent first, in groups by location. */
export function LinePage(): JSX.Element {
  const search = query.value.get('q') ?? '';
  const groups = useComputed(() => groupsOf(order.value, query.value.get('q') ?? ''));
  const count = watches.value.size;
  return (
    <section class="line" aria-label={t('nav.line')}>
      <div class="tools">
        <h1>{t('nav.line')}</h1>
        <StateCounts />
        <Search value={search} />
      </div>
      {groups.value.map(({ location, ids }) => (
        <div key={location} class="group">
          {location !== '' && <h2>{location.replaceAll('/', ' › ')}</h2>}
          <ul class="tiles" data-density={count > 60 ? 'high' : count > 12 ? 'medium' : 'low'}>
            {ids.map((id) => {
              const watch = watches.value.get(id);
              return watch && <Tile key={id} watch={watch} />;
            })}
          </ul>
        </div>
      ))}
      {groups.value.length === 0 && (
        <p class="empty">{connection.value.state === 'connecting' ? t('page.loading') : emptyText(search)}</p>
      )}
    </section>
  );
}

function emptyText(search: string): string {
  return search === '' ? t('line.none') : t('line.noMatch', { search });
}

type Group = { readonly location: string; readonly ids: readonly string[] };

/** The watches that match, by location. The group with the most urgent watch comes first, as `order` is by urgency. */
function groupsOf(ordered: string, search: string): readonly Group[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const ids = ordered.split('\n').filter((id) => id !== '' && matches(id, words));
  const byLocation = Map.groupBy(ids, (id) => watches.value.get(id)?.peek().location ?? '');
  return [...byLocation].map(([location, own]) => ({ location, ids: own }));
}

/** Every word is in the id, the model, the location, a tag or the state. */
function matches(id: string, words: readonly string[]): boolean {
  const watch = watches.value.get(id)?.peek();
  if (watch === undefined) return false;
  const { model, location, tags, state } = watch;
  const text = [id, model, location ?? '', state, word('watch', state), ...tags.map(({ tag }) => tag)].join(' ');
  return words.every((each) => text.toLowerCase().includes(each));
}

/** Number of watches in each state. */
function StateCounts(): JSX.Element {
  const counts = Map.groupBy(looks.value.values(), (look) => look);
  const texts = [...counts].map(([look, { length }]) => `${length} ${word('watch', look)}`);
  return (
    <span id="summary" role="status">
      {texts.join(', ')}
    </span>
  );
}

/** Field that filters the tiles; '/' moves the focus to it. */
function Search({ value }: { readonly value: string }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const isTyping = document.activeElement instanceof HTMLInputElement;
      if (event.key !== '/' || isTyping) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);
  return (
    <input
      ref={input}
      type="search"
      value={value}
      placeholder={t('line.search')}
      aria-label={t('line.search')}
      onInput={(event) => setQuery({ q: event.currentTarget.value })}
    />
  );
}
