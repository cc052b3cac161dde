import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { loadConfig } from '../../config/config-file.ts';
import { historyRows, parseMoment } from '../../offline/history-recording.ts';
import { writeParquet } from './history-parquet.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { writing } from '../output/written-file.ts';

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
    times: [{ fromMs: parseMoment(options.from, nowMs), toMs: parseMoment(options.to, nowMs) }],
    stepMs: undefined,
  });
  const { out } = options;
  if (out === undefined) for await (const text of chunked(rows, tags)) output.out(text);
  else if (out.endsWith('.parquet')) await writeParquet(out, tags, rows);
  else await writing(out, () => pipeline(chunked(rows, tags), createWriteStream(out)));
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

function quoted(tag: string): string {
  return /[";]/.test(tag) ? `"${tag.replaceAll('"', '""')}"` : tag;
}
