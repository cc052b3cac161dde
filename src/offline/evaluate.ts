import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';
import type { ModelDirectory } from '../models/store/model-directory.ts';
import { backtest, type BacktestOrder, type JudgedRow } from './backtest.ts';
import { type BacktestMetrics, BacktestTally } from './backtest-metrics.ts';
import { isNormalLabel } from './recording.ts';
import { inferenceFailure } from '../models/errors/inference-failure.ts';

export type EvaluationOrder = BacktestOrder & {
  readonly labelled: boolean;
  /** Receives every judged row in order. Its promise is awaited, so that a slow disk slows the backtest. */
  readonly onRow: (row: JudgedRow) => Promise<void> | undefined;
};

export type Evaluation = {
  /** `NAME@VERSION`. */
  readonly model: string;
  readonly metrics: BacktestMetrics;
  /** Errors of a regression against the measured quality in the label column; undefined for other tasks and without labels. */
  readonly errors: { readonly rows: number; readonly rmse: number; readonly mae: number } | undefined;
};

/**
 * Backtests one model on a recording, and adds up how good it was.
 *
 * @throws {OperatingError} As `backtest`.
 */
export async function evaluate(order: EvaluationOrder & { readonly task: string }): Promise<Evaluation> {
  const tally = new BacktestTally();
  const isRegression = order.task === 'regression';
  const errors = { rows: 0, squares: 0, absolutes: 0 };
  for await (const row of backtest(order)) {
    const isNormal = order.labelled && !isRegression ? isNormalLabel(row.label) : undefined;
    tally.add(row, isNormal === undefined ? undefined : !isNormal);
    const score = row.verdict?.score;
    const measured = isRegression && order.labelled ? order.recording.labelNumber(row.label) : Number.NaN;
    if (score !== undefined && Number.isFinite(measured)) {
      errors.rows += 1;
      errors.squares += (score - measured) ** 2;
      errors.absolutes += Math.abs(score - measured);
    }
    await order.onRow(row);
  }
  const { rows, squares, absolutes } = errors;
  return {
    model: formatModelReference(order.model),
    metrics: tally.metrics(),
    errors: rows === 0 ? undefined : { rows, rmse: Math.sqrt(squares / rows), mae: absolutes / rows },
  };
}

/** The chosen version, with the reason if it was not named. */
export type ChosenModel = { readonly model: ModelReference; readonly note: string | undefined };

/**
 * Returns the version to evaluate: the requested one, otherwise the active one, otherwise the newest, because a new model is
 * evaluated before it is activated.
 *
 * @throws {OperatingError} 'model-file-invalid' (reject) if there is none.
 */
export async function chooseModel(directory: ModelDirectory, wanted: ModelReference): Promise<ChosenModel> {
  const { name } = wanted;
  const versions = await directory.versions(name);
  const newest = versions.at(-1);
  if (newest === undefined)
    throw inferenceFailure('model-file-invalid', `There is no model '${name}' yet: andon train makes one`);
  if (wanted.version !== undefined) {
    if (versions.includes(wanted.version)) return { model: wanted, note: undefined };
    throw inferenceFailure(
      'model-file-invalid',
      `There is no version ${wanted.version} of '${name}'; there is ${versions.join(', ')}`,
    );
  }
  const active = await directory.activeVersion(name);
  if (active !== undefined) return { model: { name, version: active }, note: `version ${active} is active` };
  return { model: { name, version: newest }, note: `no version is active, so the newest, ${newest}` };
}
