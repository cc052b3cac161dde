import { type Signal, useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { tags as readings, type WatchView } from '../agent/agent-state.ts';
import type { TagReading, Verdict, WatchHistory } from '../agent/api-types.ts';
import {
  appendSeries,
  appendVerdicts,
  isSamples,
  readWatchHistory,
  resolutionFor,
  tailFromMs,
} from '../agent/history.ts';
import { annotationMarks, readAnnotations } from '../parts/annotations.ts';
import { Chart, type ChartData, type ChartMark, type ChartSeries } from '../parts/chart.tsx';
import { chartColumns } from '../parts/series-columns.ts';
import { canFollow, rangeOfQuery, zoomTo } from '../parts/time-range.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatNumber } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { AnnotationPanel } from './annotation-panel.tsx';
import { contributionColumns } from './contribution-columns.ts';
import { SpectrumPanel } from './spectrum-panel.tsx';
import { verdictMarks } from './verdict-marks.ts';

/** New samples are read this often; minutes and hours change slowly. */
const SAMPLES_REFRESH_MS = 2000;
const ROLLUPS_REFRESH_MS = 30_000;
const ANNOTATIONS_REFRESH_MS = 30_000;
const CONTRIBUTORS_MAX = 5;
const colors = ['--curve', '--high', '--low', '--normal', '--medium'] as const;

type Shown = { readonly fromMs: number; readonly toMs: number; readonly history: WatchHistory };

/** Score with its threshold, contributions, and each tag with its normal range. */
export function MachineCharts({ watch }: { readonly watch: Signal<WatchView> }): JSX.Element {
  const { watch: id, hop_ms, tags } = watch.peek();
  const range = rangeOfQuery('1h');
  const resolution = resolutionFor(range.toMs - range.fromMs, hop_ms === 'scan' ? 1000 : hop_ms);
  const isFollowing = range.name !== undefined;
  const everyMs = resolution === 'samples' ? SAMPLES_REFRESH_MS : ROLLUPS_REFRESH_MS;
  const { data, problem } = useAnswer(
    `${id} ${range.name ?? `${range.fromMs}-${range.toMs}`}`,
    async (): Promise<Shown> => {
      const now = rangeOfQuery('1h');
      return { ...now, history: await readSince(data.peek(), id, now, resolution) };
    },
    isFollowing ? everyMs : undefined,
  );
  const annotations = useAnswer(
    `${id} ${range.name ?? `${range.fromMs}-${range.toMs}`}`,
    () => {
      const now = rangeOfQuery('1h');
      return readAnnotations(id, now.fromMs, now.toMs);
    },
    ANNOTATIONS_REFRESH_MS,
  ).data;
  if (problem.value !== undefined && data.value === undefined) return <p class="problem">{problem}</p>;
  if (data.value === undefined) return <p class="empty">{t('page.loading')}</p>;
  const notes = annotationMarks(annotations.value ?? []);
  return (
    <>
      <ScoreChart shown={data.value} watch={watch} notes={notes} />
      <AnnotationPanel watch={id} annotations={annotations} />
      <Contributions shown={data.value} />
      <div class="tag-charts">
        {tags.map((tag) => (
          <TagChart key={tag.tag} tag={tag} shown={data.value as Shown} notes={notes} />
        ))}
      </div>
      <SpectrumPanel watch={id} tags={tags.map(({ tag }) => tag)} />
    </>
  );
}

/** Reads the range, or only what came after the last answer for it. */
async function readSince(
  last: Shown | undefined,
  id: string,
  range: ReturnType<typeof rangeOfQuery>,
  resolution: ReturnType<typeof resolutionFor>,
): Promise<WatchHistory> {
  const { fromMs, toMs } = range;
  if (last?.history.watch !== id || last.history.resolution !== resolution || !canFollow(last, range))
    return readWatchHistory(id, fromMs, toMs, resolution);
  const { history } = last;
  const known = history.score === null ? history.tags : [history.score, ...history.tags];
  const sinceMs = Math.min(tailFromMs(known) ?? fromMs, (history.verdicts.at(-1)?.timestamp_ms ?? Infinity) + 1);
  const more = await readWatchHistory(id, Math.max(sinceMs, fromMs), toMs, resolution);
  const lastAlarms = new Set(history.alarms.map((alarm) => alarm.id));
  const tail = more.score === null ? more.tags : [more.score, ...more.tags];
  const joined = appendSeries(known, tail, fromMs, toMs - fromMs);
  const [score] = history.score === null ? [null] : joined;
  return {
    ...more,
    verdicts: [...appendVerdicts(history.verdicts, more.verdicts, fromMs)],
    alarms: [...history.alarms, ...more.alarms.filter((alarm) => !lastAlarms.has(alarm.id))],
    score: score === undefined || score === null || isSamples(score) ? null : score,
    tags: [...(history.score === null ? joined : joined.slice(1))],
  };
}

/** A score of many times its threshold would press everything else against the axis. */
const STEEP_FACTOR = 5;

/** Returns the threshold, up to which the scale is linear, if the scores exceed it several times; undefined if not. */
function linearTo(
  [, ...columns]: ChartData,
  abnormal: WatchView['abnormal'],
  threshold: number | null,
): number | undefined {
  if (abnormal !== 'above' || threshold === null || threshold <= 0) return undefined;
  const isSteep = columns.some((values) => values.some((value) => (value ?? 0) > STEEP_FACTOR * threshold));
  return isSteep ? threshold : undefined;
}

type ScoreChartProps = {
  readonly shown: Shown;
  readonly watch: Signal<WatchView>;
  readonly notes: readonly ChartMark[];
};

function ScoreChart({ shown, watch, notes }: ScoreChartProps): JSX.Element {
  const { history, fromMs, toMs } = shown;
  const verdicts = history.verdicts;
  const threshold = useComputed(() => watch.value.last_verdict?.threshold ?? null).value;
  const columns = scoreColumns(history, verdicts, threshold);
  const scoreSeries: readonly ChartSeries[] = [
    { label: t('machine.score'), color: '--curve', width: 2 },
    ...(history.score === null
      ? []
      : [
          { label: t('trends.max'), color: '--curve', isEdge: true },
          { label: t('trends.min'), color: '--curve', isEdge: true },
        ]),
    { label: t('machine.threshold'), color: '--critical', dash: [6, 4] },
  ];
  return (
    <section class="panel" aria-label={t('machine.score')}>
      <h2>{t('machine.scoreTitle')}</h2>
      <Chart
        label={t('machine.scoreTitle')}
        data={columns}
        linearTo={linearTo(columns, watch.value.abnormal, threshold)}
        series={scoreSeries}
        areas={history.score === null ? [] : [[2, 3]]}
        marks={[...verdictMarks(verdicts, Math.min(toMs, lastVerdictEndMs(verdicts))), ...notes]}
        fromMs={fromMs}
        toMs={toMs}
        height={220}
        onZoom={zoomTo}
      />
    </section>
  );
}

/** A verdict counts until the next one is due: for as long as it is after the one before. */
function lastVerdictEndMs(verdicts: readonly Verdict[]): number {
  const [before, last] = verdicts.slice(-2);
  if (before === undefined || last === undefined) return Infinity;
  return 2 * last.timestamp_ms - before.timestamp_ms;
}

function scoreColumns(history: WatchHistory, verdicts: readonly Verdict[], threshold: number | null): ChartData {
  if (history.score === null)
    return [
      verdicts.map(({ timestamp_ms }) => timestamp_ms / 1000),
      verdicts.map(({ score }) => score),
      verdicts.map((verdict) => verdict.threshold),
    ];
  const [times, ...columns] = chartColumns([history.score]);
  return [times, ...columns, times.map(() => threshold)];
}

function Contributions({ shown }: { readonly shown: Shown }): JSX.Element | null {
  const { tags, data } = contributionColumns(shown.history.verdicts, CONTRIBUTORS_MAX);
  if (tags.length === 0) return null;
  return (
    <section class="panel" aria-label={t('machine.contributions')}>
      <h2>{t('machine.contributions')}</h2>
      <Chart
        label={t('machine.contributions')}
        data={data}
        series={tags.map((tag, index) => ({ label: tag, color: colors[index % colors.length] ?? '--curve' }))}
        fromMs={shown.fromMs}
        toMs={shown.toMs}
        height={150}
        onZoom={zoomTo}
      />
    </section>
  );
}

type TagChartProps = {
  readonly tag: WatchView['tags'][number];
  readonly shown: Shown;
  readonly notes: readonly ChartMark[];
};

function TagChart({ tag, shown, notes }: TagChartProps): JSX.Element {
  const series = shown.history.tags.find((each) => each.tag === tag.tag);
  const reading = useComputed(() => readings.value.get(tag.tag)).value;
  const isRollup = series !== undefined && !isSamples(series);
  return (
    <section class="panel tag-chart" aria-label={tag.tag}>
      <h2>
        {tag.tag} <ReadingText reading={reading} />
        {tag.normal_range !== null && (
          <small>
            {t('machine.normalRange', {
              low: formatNumber(tag.normal_range[0]),
              high: formatNumber(tag.normal_range[1]),
              unit: tag.unit,
            })}
          </small>
        )}
      </h2>
      <Chart
        label={tag.tag}
        data={series === undefined ? [[], []] : chartColumns([series])}
        series={[
          { label: tag.tag, color: '--curve', unit: tag.unit },
          ...(isRollup
            ? [
                { label: t('trends.max'), color: '--curve', unit: tag.unit, isEdge: true },
                { label: t('trends.min'), color: '--curve', unit: tag.unit, isEdge: true },
              ]
            : []),
        ]}
        areas={isRollup ? [[2, 3]] : []}
        marks={notes}
        band={tag.normal_range ?? undefined}
        fromMs={shown.fromMs}
        toMs={shown.toMs}
        height={140}
        onZoom={zoomTo}
      />
    </section>
  );
}

/** Present value of a tag; a bad one has its reason instead. */
function ReadingText({ reading }: { readonly reading: TagReading | undefined }): JSX.Element | null {
  if (reading === undefined) return null;
  const { quality, reason, text, value, unit } = reading;
  return (
    <b class="reading" data-quality={quality}>
      {quality === 'bad' ? `– ${word('quality', reason)}` : `${text ?? formatNumber(value)} ${unit}`}
    </b>
  );
}
