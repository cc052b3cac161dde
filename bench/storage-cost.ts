import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordDraft } from '../src/domain/record/record.ts';
import { bareOutbox, startOutbox } from './outbox-rows.ts';
import type { PartOptions } from './part-options.ts';
import { verdictDrafts } from './verdict-drafts.ts';

/** The verdicts of W2: 64 watches, every 100 ms. */
const WATCHES = 64;
const INTERVAL_MS = 100;
/** A flash page is written with the checkpoint, so the measurement includes the close. */
const INTERVALS_PER_MS = 4 / INTERVAL_MS;

/** A watch of 492 tags at 10 Hz, with the contributions of a model, in an outbox of 2 GB. */
const WIDE_TAGS = 492;
const WIDE_ROWS = 4000;
const WIDE_BATCH = 100;
const MAX_BYTES = 2e9;
const ROWS_PER_DAY = 10 * 86_400;

/** Measures bytes written to the disk for each verdict, file and WAL, at the pace of W2. */
export async function flashAgent({ folder, measureMs }: PartOptions): Promise<number> {
  const drafts = verdictDrafts(WATCHES);
  const outbox = await startOutbox(folder, []);
  const before = bytesWritten();
  const rows = await paced(measureMs, drafts, () => outbox.append(drafts));
  await outbox[Symbol.asyncDispose]();
  return (bytesWritten() - before) / rows;
}

/** Writes the same rows at the same pace with better-sqlite3 alone, as JSON. */
export async function flashLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const drafts = verdictDrafts(WATCHES);
  const { write, sqlite } = bareOutbox(folder, drafts);
  const before = bytesWritten();
  const rows = await paced(measureMs, drafts, () => Promise.resolve(write()));
  sqlite.close();
  return (bytesWritten() - before) / rows;
}

/** Returns the days that an outbox of 2 GB holds. */
export async function daysAgent({ folder }: PartOptions): Promise<number> {
  const drafts = verdictDrafts(WIDE_BATCH, { watches: 1, tags: WIDE_TAGS });
  await using outbox = await startOutbox(folder, []);
  for (let rows = 0; rows < WIDE_ROWS; rows += WIDE_BATCH) await outbox.append(drafts);
  const { bytes, records } = await outbox.stats();
  return MAX_BYTES / (bytes / records) / ROWS_PER_DAY;
}

/** Returns the days that the same records as JSON fill in a bare table. */
export async function daysLimit({ folder }: PartOptions): Promise<number> {
  const { write, sqlite } = bareOutbox(folder, verdictDrafts(WIDE_BATCH, { watches: 1, tags: WIDE_TAGS }));
  let rows = 0;
  while (rows < WIDE_ROWS) rows += write();
  const pages = Number(sqlite.pragma('page_count', { simple: true }));
  return MAX_BYTES / ((pages * 4096) / rows) / ROWS_PER_DAY;
}

async function paced(
  measureMs: number,
  drafts: readonly RecordDraft[],
  write: () => Promise<unknown>,
): Promise<number> {
  const intervals = Math.round(measureMs * INTERVALS_PER_MS);
  for (let interval = 0; interval < intervals; interval += 1) {
    await write();
    await sleep(INTERVAL_MS);
  }
  return intervals * drafts.length;
}

/** Bytes that this process has caused to be written to a disk. */
function bytesWritten(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}
