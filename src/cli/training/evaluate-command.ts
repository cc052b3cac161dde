import type { RecordedRows } from '../../offline/recorded-feed.ts';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { JudgedRow } from '../../offline/backtest.ts';
import { loadConfig } from '../../config/config-file.ts';
import { chooseModel, evaluate, type Evaluation } from '../../offline/evaluate.ts';
import { EvaluationPlot, evaluationReport, evaluationRows } from '../../offline/evaluation-report.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { ModelDirectory, type StoredModel } from '../../models/store/model-directory.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { chooseRecording, recordingNotes, type RecordingOptions } from './recording-options.ts';
import { table } from '../output/table.ts';
import { writing } from '../output/written-file.ts';
import { referenceOf } from '../models/model-argument.ts';

export type EvaluateOptions = RecordingOptions & {
  readonly config: string;
  readonly model?: string;
  readonly against?: string;
  readonly out?: string;
  readonly report?: string;
  readonly json?: boolean;
};

/**
 * `andon evaluate`: a backtest of a model on recorded data.
 *
 * @returns 0; without labels, 1 if an abnormal row was found.
 */
export async function evaluateCommand(options: EvaluateOptions, output: Output): Promise<number> {
  const loaded = await loadConfig(options.config);
  const { models } = loaded.config;
  const deps = systemDeps();
  const chosen = await chooseRecording(loaded, options, deps.clock.nowMs(), 'evaluate');
  for (const note of recordingNotes(chosen)) output.err(note);
  const directory = ModelDirectory.of(models);
  const wanted = options.model === undefined ? chosen.binding.watch.model : referenceOf(options.model);
  const { model, note } = await chooseModel(directory, wanted);
  const against =
    options.against === undefined ? undefined : await chooseModel(directory, referenceOf(options.against));
  const seen = trainedRowsNote(await directory.find(model), chosen);
  if (seen !== undefined) output.err(seen);
  const labelled = options.label !== undefined || chosen.recording.marked.length > 0;
  const plot = new EvaluationPlot(chosen.binding.watch.tags);
  const run = async (reference: ModelReference, onRow: (row: JudgedRow) => Promise<void> | undefined) => {
    const { task } = (await directory.find(reference)).manifest;
    return evaluate({ ...chosen, models, model: reference, task, labelled, deps, onRow });
  };
  const out = options.out === undefined ? undefined : new PredictionFile(options.out, chosen);
  const evaluation = await run(model, (row) => {
    plot.add(row);
    return out?.add(row);
  });
  await out?.end();
  const evaluations = [evaluation, ...(against === undefined ? [] : [await run(against.model, () => undefined)])];
  const { report } = options;
  if (report !== undefined) await writing(report, () => writeReport(report, evaluations, plot, chosen));
  if (options.json === true)
    output.out(JSON.stringify({ model: formatModelReference(model), note: note ?? '', evaluations }));
  else {
    if (note !== undefined) output.err(`${formatModelReference(model)}: ${note}`);
    const { head, body } = evaluationRows(evaluations);
    output.out(table(head, body));
  }
  return !labelled && evaluation.metrics.abnormalRows > 0 ? 1 : 0;
}

/** A model looks better on rows that it has seen. */
function trainedRowsNote({ manifest }: StoredModel, { recording, range, pacing }: RecordedRows): string | undefined {
  const { data, firstRow, lastRow } = manifest.training;
  if (pacing === 'times' || data !== recording.name || typeof firstRow !== 'number' || typeof lastRow !== 'number')
    return undefined;
  if (range.first > lastRow || range.last < firstRow) return undefined;
  return `note: rows ${firstRow} to ${lastRow} of ${recording.name} were used to train ${formatModelReference(manifest)}`;
}

/** `time;score;prediction`, one line for each row; the score is empty if the row was not judged. */
class PredictionFile {
  readonly #stream;
  readonly #hasTimes: boolean;

  constructor(path: string, { recording }: RecordedRows) {
    this.#hasTimes = recording.hasTimes;
    this.#stream = createWriteStream(path);
    this.#stream.write('time;score;prediction\n');
    // A path that cannot be written is reported at the end; until then lines are dropped.
    this.#stream.on('error', () => undefined);
  }

  add({ row, timeText, verdict, prediction }: JudgedRow): Promise<void> | undefined {
    const time = this.#hasTimes ? timeText : String(row);
    if (this.#stream.write(`${time};${verdict?.score ?? ''};${prediction}\n`) || this.#stream.destroyed)
      return undefined;
    return once(this.#stream, 'drain').then(
      () => undefined,
      () => undefined,
    );
  }

  /** @throws {OperatingError} 'file-not-written' (retry). */
  end(): Promise<void> {
    this.#stream.end();
    return writing(String(this.#stream.path), () => finished(this.#stream));
  }
}

async function writeReport(
  folder: string,
  evaluations: readonly Evaluation[],
  plot: EvaluationPlot,
  { recording }: RecordedRows,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of evaluationReport(evaluations, plot, recording.name))
    await writeFile(join(folder, name), text);
}
