import { computed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { readJson } from '../agent/agent-api.ts';
import { watches } from '../agent/agent-state.ts';
import type { Rollup, TagReading, TagSeries } from '../agent/api-types.ts';
import { appendSeries, isSamples, readTags, type Resolution, resolutionFor, tailFromMs } from '../agent/history.ts';
import { annotationMarks, readAnnotations } from '../parts/annotations.ts';
import { Chart, type ChartSeries } from '../parts/chart.tsx';
import { csvField, download } from '../parts/csv.ts';
import { query, setQuery } from '../parts/router.ts';
import { chartColumns } from '../parts/series-columns.ts';
import { canFollow, RangeChoice, rangeOfQuery, zoomTo } from '../parts/time-range.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { Problem } from '../parts/problem.tsx';

const TAGS_MAX = 8;
const SAMPLES_REFRESH_MS = 2000;
const ROLLUPS_REFRESH_MS = 30_000;
const colors = ['--curve', '--high', '--low', '--normal', '--medium', '--critical', '--strong', '--ink'] as const;

const chosen = computed(() => (query.value.get('tags') ?? '').split(',').filter(Boolean));

/** Any tags of any source over hours to months. The tags and the range are in the address. */
export function TrendsPage(): JSX.Element {
  const known = useAnswer('tags', () => readJson<{ tags: TagReading[] }>('/api/v1/tags'));
  const range = rangeOfQuery('1h');
  return (
    <>
      <div class="tools">
        <h1>{t('nav.trends')}</h1>
        <TagChoice known={known.data.value?.tags ?? []} />
        <RangeChoice names={['15m', '1h', '8h', '1d', '7d', '30d']} present={range} />
      </div>
      <Problem text={known.problem} />
      {chosen.value.length === 0 ? (
        <p class="empty">{t('trends.choose')}</p>
      ) : (
        known.data.value !== undefined && <TrendChart units={unitsOf(known.data.value.tags)} />
      )}
    </>
  );
}

const unitsOf = (tags: readonly TagReading[]) => new Map(tags.map(({ tag, unit }) => [tag, unit]));

function TagChoice({ known }: { readonly known: readonly TagReading[] }): JSX.Element {
  const text = useSignal('');
  const add = (tag: string): void => {
    text.value = tag;
    if (!known.some((each) => each.tag === tag)) return;
    if (!chosen.value.includes(tag)) setQuery({ tags: [...chosen.value, tag].slice(0, TAGS_MAX).join(',') });
    text.value = '';
  };
  // A tag may be typed before the list of tags has arrived.
  useEffect(() => add(text.peek()), [known.length]);
  return (
    <>
      {chosen.value.map((tag, index) => (
        <button
          key={tag}
          type="button"
          class="chip"
          title={t('trends.remove')}
          onClick={() => setQuery({ tags: chosen.value.filter((each) => each !== tag).join(',') })}
        >
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <rect width="10" height="10" style={{ fill: `var(${colors[index % colors.length]})` }} />
          </svg>
          {tag} ×
        </button>
      ))}
      {chosen.value.length < TAGS_MAX && (
        <>
          <input
            list="known-tags"
            value={text}
            placeholder={t('trends.add')}
            aria-label={t('trends.add')}
            onInput={(event) => add(event.currentTarget.value)}
          />
          <datalist id="known-tags">
            {known.map(({ tag, unit }) => (
              <option key={tag} value={tag}>
                {unit}
              </option>
            ))}
          </datalist>
        </>
      )}
    </>
  );
}

type Shown = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly resolution: Resolution;
  readonly tags: readonly (TagSeries | Rollup)[];
};

/** Reads the range, or only what came after the last answer for it. */
async function readSince(
  last: Shown | undefined,
  tags: readonly string[],
  range: ReturnType<typeof rangeOfQuery>,
  resolution: Resolution,
): Promise<Shown> {
  const { fromMs, toMs } = range;
  const sinceMs = last === undefined ? undefined : tailFromMs(last.tags);
  const isSame =
    last?.resolution === resolution && last.tags.map(({ tag }) => tag).join() === tags.join() && canFollow(last, range);
  if (!isSame || sinceMs === undefined)
    return { fromMs, toMs, resolution, tags: (await readTags(tags, fromMs, toMs, resolution)).tags };
  const tail = await readTags(tags, Math.max(sinceMs, fromMs), toMs, resolution);
  return { fromMs, toMs, resolution, tags: appendSeries(last.tags, tail.tags, fromMs, toMs - fromMs) };
}

function TrendChart({ units }: { readonly units: ReadonlyMap<string, string> }): JSX.Element {
  const range = rangeOfQuery('1h');
  // A tag may be read ten times a second; the agent thins samples itself.
  const resolution = resolutionFor(range.toMs - range.fromMs, 1000);
  const everyMs = resolution === 'samples' ? SAMPLES_REFRESH_MS : ROLLUPS_REFRESH_MS;
  const tags = chosen.value.filter((tag) => units.has(tag));
  const { data, problem } = useAnswer(
    `${tags.join()} ${range.name ?? `${range.fromMs}-${range.toMs}`}`,
    (): Promise<Shown> => readSince(data.peek(), tags, rangeOfQuery('1h'), resolution),
    range.name === undefined ? undefined : everyMs,
  );
  const notes = useAnswer(
    `${tags.join()} ${range.name ?? `${range.fromMs}-${range.toMs}`}`,
    async () => {
      const { fromMs, toMs } = rangeOfQuery('1h');
      const all = await readAnnotations(undefined, fromMs, toMs);
      return all.filter(({ watch }) =>
        watches
          .peek()
          .get(watch)
          ?.peek()
          .tags.some(({ tag }) => tags.includes(tag)),
      );
    },
    ROLLUPS_REFRESH_MS,
  ).data;
  if (problem.value !== undefined) return <Problem text={problem} />;
  if (data.value === undefined) return <p class="empty">{t('page.loading')}</p>;
  const shown = data.value;
  const isRollup = shown.tags.some((series) => !isSamples(series));
  return (
    <section class="panel" aria-label={t('nav.trends')}>
      <Chart
        label={t('trends.chart', { tags: tags.join(', ') })}
        data={chartColumns(shown.tags)}
        series={shown.tags.flatMap((series) => seriesOf(series, chosen.value.indexOf(series.tag), units))}
        areas={isRollup ? shown.tags.map((_series, index) => [3 * index + 2, 3 * index + 3] as const) : []}
        marks={annotationMarks(notes.value ?? [])}
        fromMs={shown.fromMs}
        toMs={shown.toMs}
        height={Math.max(320, innerHeight - 220)}
        onZoom={zoomTo}
      />
      <p class="hint">
        {t('trends.zoom')} {isRollup && t('trends.rollups')}{' '}
        <button type="button" onClick={() => download('trend.csv', trendCsv(shown.tags))}>
          CSV
        </button>
      </p>
    </section>
  );
}

/** Tags with one unit share an axis. */
function seriesOf(
  series: TagSeries | Rollup,
  index: number,
  units: ReadonlyMap<string, string>,
): readonly ChartSeries[] {
  const unit = units.get(series.tag) ?? '';
  const color = colors[index % colors.length] ?? '--curve';
  const scale = unit === '' ? 'y' : `unit ${unit}`;
  const line = { label: series.tag, color, unit, scale };
  if (isSamples(series)) return [line];
  return [line, { ...line, label: t('trends.max'), isEdge: true }, { ...line, label: t('trends.min'), isEdge: true }];
}

/** Returns the shown values as CSV, one row a time, with UTC times. */
export function trendCsv(series: readonly (TagSeries | Rollup)[]): string {
  const [times, ...columns] = chartColumns(series);
  const names = series.flatMap((each) =>
    isSamples(each) ? [each.tag] : [`${each.tag} mean`, `${each.tag} max`, `${each.tag} min`],
  );
  const rows = times.map((seconds, row) => [
    new Date(seconds * 1000).toISOString(),
    ...columns.map((column) => column[row]),
  ]);
  return [['timestamp', ...names], ...rows].map((row) => row.map(csvField).join(',')).join('\r\n') + '\r\n';
}
