import type { JSX } from 'preact';
import { readJson } from '../agent/agent-api.ts';
import { nowMs } from '../agent/agent-state.ts';
import type { Comparison as Answer, RolloutComparison } from '../agent/api-types.ts';
import { Chart, type ChartData } from '../parts/chart.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatDateTime, formatMs, formatNumber, formatPercent } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { pathOf } from './model-directory.ts';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 3000;
const CHART_HEIGHT = 260;

/** Versions of a model that judge the same windows, side by side. */
export function Comparison({ model }: { readonly model: string }): JSX.Element {
  const { data, problem } = useAnswer(model, () => readJson<Answer>(`${pathOf(model)}/compare`), REFRESH_MS);
  const { rollouts = [], obstacles = [] } = data.value ?? {};
  return (
    <>
      <Problem text={problem} />
      {data.value !== undefined && rollouts.length === 0 && <p class="empty">{t('models.compare.none')}</p>}
      {obstacles.map(({ watch, reason }) => (
        <p key={watch} class="problem reason">
          {watch}: {reason}
        </p>
      ))}
      {rollouts.map((rollout) => (
        <Rollout key={rollout.watch} rollout={rollout} />
      ))}
    </>
  );
}

function Rollout({ rollout }: { readonly rollout: RolloutComparison }): JSX.Element {
  const { watch, kind, candidate, incumbent, stopped, conclusion, windows } = rollout;
  const title = t('models.compare.title', { watch, kind: t(`models.compare.${kind}`), candidate, incumbent });
  return (
    <section class="panel comparison" aria-label={title}>
      <h2>{title}</h2>
      {stopped !== null && <p class="problem reason">{t('models.compare.stopped', { reason: stopped.reason })}</p>}
      <p class="conclusion">{conclusion}</p>
      <Scores rollout={rollout} />
      {windows > 0 && (
        <div class="halves">
          <Facts rollout={rollout} />
          <Agreement rollout={rollout} />
          <Sides rollout={rollout} />
          <Disagreements rollout={rollout} />
        </div>
      )}
    </section>
  );
}

/** Scores of both versions over time, each as a multiple of its threshold: two versions may score in different units. */
function Scores({ rollout }: { readonly rollout: RolloutComparison }): JSX.Element {
  const { candidate, incumbent, recent, thresholds } = rollout;
  const first = recent.timestamps_ms[0];
  const last = recent.timestamps_ms.at(-1);
  if (first === undefined || last === undefined) return <p>{t('models.compare.waiting')}</p>;
  const isRatio = isPositive(thresholds.candidate) && isPositive(thresholds.incumbent);
  const scaled = (scores: readonly number[], threshold: number | null): readonly number[] =>
    isRatio && threshold !== null ? scores.map((score) => score / threshold) : scores;
  const data: ChartData = [
    recent.timestamps_ms.map((ms) => ms / 1000),
    scaled(recent.candidate, thresholds.candidate),
    scaled(recent.incumbent, thresholds.incumbent),
    ...(isRatio ? [recent.timestamps_ms.map(() => 1)] : []),
  ];
  const series = [
    { label: t('models.compare.scoreOf', { version: candidate }), color: '--curve', width: 2 },
    { label: t('models.compare.scoreOf', { version: incumbent }), color: '--faint', dash: [6, 3], width: 2 },
    ...(isRatio ? [{ label: t('models.threshold'), color: '--high', dash: [2, 3] }] : []),
  ];
  return (
    <>
      <Chart
        label={t('models.compare.scores')}
        data={data}
        series={series}
        fromMs={first}
        toMs={Math.max(last, first + 1000)}
        height={CHART_HEIGHT}
      />
      {isRatio && <small>{t('models.compare.ratio')}</small>}
    </>
  );
}

function isPositive(value: number | null): boolean {
  return value !== null && value > 0;
}

function Facts({ rollout }: { readonly rollout: RolloutComparison }): JSX.Element {
  const { decides, windows, agreement, score_correlation, since_ms, ends_ms } = rollout;
  return (
    <dl class="facts">
      <dt>{t('models.compare.decides')}</dt>
      <dd>
        {t('models.version')} {decides}
      </dd>
      <dt>{t('models.compare.windows')}</dt>
      <dd>{formatNumber(windows)}</dd>
      <dt>{t('models.compare.agreement')}</dt>
      <dd>{formatPercent(agreement ?? undefined)}</dd>
      <dt>{t('models.compare.correlation')}</dt>
      <dd>{formatNumber(score_correlation)}</dd>
      <dt>{t('models.compare.since')}</dt>
      <dd>{formatDateTime(since_ms)}</dd>
      {ends_ms !== null && (
        <>
          <dt>{t('models.compare.until')}</dt>
          <dd>{formatDateTime(Math.max(ends_ms, nowMs.value))}</dd>
        </>
      )}
    </dl>
  );
}

/** Windows by the verdicts of both. */
function Agreement({ rollout: { candidate, incumbent, table } }: { readonly rollout: RolloutComparison }): JSX.Element {
  return (
    <table class="agreement">
      <thead>
        <tr>
          <th scope="col">{t('models.compare.windows')}</th>
          <th scope="col" class="number">
            {t('models.compare.normalOf', { version: incumbent })}
          </th>
          <th scope="col" class="number">
            {t('models.compare.abnormalOf', { version: incumbent })}
          </th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">{t('models.compare.normalOf', { version: candidate })}</th>
          <td class="number">{table.both_normal}</td>
          <td class="number" data-bad={table.only_incumbent > 0}>
            {table.only_incumbent}
          </td>
        </tr>
        <tr>
          <th scope="row">{t('models.compare.abnormalOf', { version: candidate })}</th>
          <td class="number" data-bad={table.only_candidate > 0}>
            {table.only_candidate}
          </td>
          <td class="number">{table.both_abnormal}</td>
        </tr>
      </tbody>
    </table>
  );
}

/** Both versions in columns. */
function Sides({ rollout }: { readonly rollout: RolloutComparison }): JSX.Element {
  const { candidate, incumbent, alarm_rate, latency_ms, failures, drift } = rollout;
  const sides = ['candidate', 'incumbent'] as const;
  const failed = (side: (typeof sides)[number]): number =>
    Object.values(failures[side]).reduce((sum, count) => sum + count, 0);
  return (
    <table class="sides">
      <thead>
        <tr>
          <th scope="col">{t('models.version')}</th>
          <th scope="col" class="number">
            {candidate}
          </th>
          <th scope="col" class="number">
            {incumbent}
          </th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">{t('models.compare.abnormal')}</th>
          {sides.map((side) => (
            <td key={side} class="number">
              {formatPercent(alarm_rate[side] ?? undefined)}
            </td>
          ))}
        </tr>
        <tr>
          <th scope="row">{t('models.compare.latency')}</th>
          {sides.map((side) => (
            <td key={side} class="number">
              {formatMs(latency_ms[side].p50)}, {formatMs(latency_ms[side].p99)}
            </td>
          ))}
        </tr>
        <tr>
          <th scope="row">{t('models.compare.failed')}</th>
          {sides.map((side) => (
            <td key={side} class="number" data-bad={failed(side) > 0}>
              {failed(side)}
            </td>
          ))}
        </tr>
        <tr>
          <th scope="row">{t('models.compare.drift')}</th>
          {sides.map((side) => (
            <td key={side} class="number">
              {formatNumber(drift[side])}
            </td>
          ))}
        </tr>
      </tbody>
    </table>
  );
}

function Disagreements({ rollout }: { readonly rollout: RolloutComparison }): JSX.Element | null {
  const { candidate, incumbent, disagreements } = rollout;
  if (disagreements.length === 0) return null;
  return (
    <table class="disagreements">
      <caption>{t('models.compare.disagreements')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('models.log.time')}</th>
          <th scope="col">{candidate}</th>
          <th scope="col">{incumbent}</th>
        </tr>
      </thead>
      <tbody>
        {disagreements.toReversed().map((each) => (
          <tr key={each.timestamp_ms}>
            <td>{formatDateTime(each.timestamp_ms)}</td>
            {[each.candidate, each.incumbent].map(({ score, threshold, verdict }, index) => (
              <td key={index}>
                {word('watch', verdict)} ({formatNumber(score)} / {formatNumber(threshold)})
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
