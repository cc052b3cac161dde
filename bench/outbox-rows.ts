import { join } from 'node:path';
import Database from 'better-sqlite3';
import { storageWorkerEntry } from '../src/platform/entries.ts';
import type { RecordDraft } from '../src/domain/record/record.ts';
import { createSchema } from '../src/outbox/records/outbox-schema.ts';
import { Outbox } from '../src/outbox/outbox.ts';
import { outboxConfigSchema } from '../src/outbox/file/outbox-config.ts';
import type { UplinkInterest } from '../src/outbox/file/storage-protocol.ts';
import { benchDeps, rateOf, rateOfSteps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { AGENT_ID } from './workload.ts';
import { verdictDrafts } from './verdict-drafts.ts';

/** Rows of a transaction, the agent's own default at full load. */
const BATCH = 500;
/** Appends that wait at once: enough that a full batch is always ready. */
const APPENDS_IN_FLIGHT = 40;
const DRAFTS_PER_APPEND = 50;

/** Rows a second through the agent's outbox, each known to be on disk: JSON, checksum, id, storage thread, group commit. */
export async function outboxAgent({ folder, measureMs }: PartOptions): Promise<number> {
  await using outbox = await startOutbox(folder, []);
  const drafts = verdictDrafts(DRAFTS_PER_APPEND);
  let rows = 0;
  const stop = new AbortController();
  const appends = Array.from({ length: APPENDS_IN_FLIGHT }, async () => {
    while (!stop.signal.aborted) {
      const ids = await outbox.append(drafts);
      rows += ids.length;
    }
  });
  const rate = await rateOf(() => rows, measureMs);
  stop.abort();
  await Promise.all(appends);
  return rate;
}

/** The same rows by better-sqlite3 alone, from JSON made before, in transactions of the same size with synchronous=FULL. */
export async function outboxLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const write = bareOutbox(folder, verdictDrafts(BATCH));
  return rateOfSteps(write, measureMs);
}

/** Like `outboxLimit`, into the agent's own table with its index: what is left is what the agent's code costs. */
export async function outboxTableLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const sqlite = new Database(join(folder, 'bare.db'));
  sqlite.pragma('journal_mode = WAL');
  sqlite.pragma('synchronous = FULL');
  createSchema(sqlite);
  const insert = sqlite.prepare('INSERT INTO outbox (kind, watch, timestamp, checksum, body) VALUES (?, ?, ?, 0, ?)');
  return rateOfSteps(writer(sqlite, insert, verdictDrafts(BATCH)), measureMs);
}

/** @returns Writes all drafts in one transaction, and returns how many they are. */
export function bareOutbox(folder: string, drafts: readonly RecordDraft[]): () => number {
  const sqlite = new Database(join(folder, 'bare.db'));
  sqlite.pragma('journal_mode = WAL');
  sqlite.pragma('synchronous = FULL');
  sqlite.exec(
    'CREATE TABLE record (sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, watch TEXT, timestamp REAL, body TEXT)',
  );
  const insert = sqlite.prepare('INSERT INTO record (kind, watch, timestamp, body) VALUES (?, ?, ?, ?)');
  return writer(sqlite, insert, drafts);
}

function writer(sqlite: Database.Database, insert: Database.Statement, drafts: readonly RecordDraft[]): () => number {
  const rows = drafts.map(({ kind, watch, timestampMs, body }) => [kind, watch, timestampMs, JSON.stringify(body)]);
  const writeAll = sqlite.transaction(() => {
    for (const row of rows) insert.run(row);
  });
  return () => {
    writeAll();
    return rows.length;
  };
}

/** An open outbox in `folder`; the caller disposes of it. */
export async function startOutbox(
  folder: string,
  uplinks: readonly UplinkInterest[],
  deps = benchDeps(),
): Promise<Outbox> {
  const config = outboxConfigSchema.parse({ path: join(folder, 'outbox.db') });
  const outbox = new Outbox({ agentId: AGENT_ID, entry: storageWorkerEntry, config, uplinks, deps });
  await outbox.start();
  return outbox;
}
