import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { loadConfig } from '../../config/config-file.ts';
import { historyRows, parseMoment } from '../../offline/history-recording.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { writeParquet } from './history-parquet.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { trainingFailure } from '../../training/core/training-errors.ts';

export type HistoryExportOptions = {
  readonly config: string;
  readonly from?: string;
  readonly to?: string;
  readonly tags?: string;
  readonly out?: string;
};

/** Lines that are written at once. */
const LINES_AT_ONCE = 500;

/**
 * `andon history export`: the good samples of some tags, a row for each time at which one of them has a sample; as
 * CSV, or as Parquet if `--out` ends in .parquet.
 * Reads the file, also while the agent runs; `andon train --csv … --step` reads it back.
 */
export async function historyExportCommand(options: HistoryExportOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config);
  const nowMs = systemDeps().clock.nowMs();
  const watched = [...new Set(Object.values(config.watches).flatMap(({ tags }) => tags))];
  const tags = options.tags === undefined ? watched : options.tags.split(',').map((tag) => tag.trim());
  const rows = historyRows({
    outboxPath: config.outbox.path,
    tags,
    fromMs: parseMoment(options.from, nowMs),
    toMs: parseMoment(options.to, nowMs),
    stepMs: undefined,
  });
  if (options.out?.endsWith('.parquet') === true) {
    await writeParquet(options.out, tags, rows);
    return 0;
  }
  const lines = chunked(rows, tags);
  if (options.out === undefined) for await (const text of lines) output.out(text);
  else await writeLines(options.out, lines);
  return 0;
}

async function* chunked(
  rows: ReturnType<typeof historyRows>,
  tags: readonly string[],
): AsyncGenerator<string, void, undefined> {
  let lines = [['time', ...tags.map(quoted)].join(';')];
  for await (const { timeText, values } of rows) {
    lines.push([timeText, ...Array.from(values, (value) => (Number.isNaN(value) ? '' : String(value)))].join(';'));
    if (lines.length < LINES_AT_ONCE) continue;
    yield `${lines.join('\n')}\n`;
    lines = [];
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`;
}

/** @throws {OperatingError} 'file-not-written' (retry). */
async function writeLines(path: string, lines: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(lines, createWriteStream(path));
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw trainingFailure('file-not-written', `${path}: ${errorMessage(error)}`, { cause: error });
  }
}

function quoted(tag: string): string {
  return /[";]/.test(tag) ? `"${tag.replaceAll('"', '""')}"` : tag;
}
