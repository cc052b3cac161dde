import { join } from 'node:path';
import Database from 'better-sqlite3';
import { historyWorkerEntry, storageWorkerEntry } from '../src/platform/entries.ts';
import { draftJson } from '../test/support/draft-body.ts';
import type { RecordDraft } from '../src/domain/record/record.ts';
import { outboxFormat } from '../src/outbox/records/outbox-schema.ts';
import { HistoryStorage } from '../src/outbox/history-storage.ts';
import { Outbox } from '../src/outbox/outbox.ts';
import type { Deps } from '../src/platform/deps.ts';
import { outboxConfigSchema } from '../src/outbox/file/outbox-config.ts';
import type { UplinkInterest } from '../src/outbox/file/storage-protocol.ts';
import { benchDeps, rateOf, rateOfSteps } from './part-rate.ts';
import type { PartOptions } from './part-options.ts';
import { AGENT_ID } from './workload.ts';
import { verdictDrafts } from './verdict-drafts.ts';

/** Rows of a transaction, the default of the agent at full load. */
const BATCH = 500;
/** Appends that wait at the same time: enough that a full batch is always ready. */
const APPENDS_IN_FLIGHT = 40;
const DRAFTS_PER_APPEND = 50;

/** Measures rows per second through the agent's outbox, each confirmed to be on disk: JSON, checksum, id, storage thread, group commit. */
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

/** Writes the same rows with better-sqlite3 alone, from prepared JSON, in transactions of the same size with synchronous=FULL. */
export async function outboxLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const { write } = bareOutbox(folder, verdictDrafts(BATCH));
  return rateOfSteps(write, measureMs);
}

/** Like `outboxLimit`, but into the agent's table with its index: the remaining difference is the cost of the agent's code. */
export async function outboxTableLimit({ folder, measureMs }: PartOptions): Promise<number> {
  const sqlite = new Database(join(folder, 'bare.db'));
  sqlite.pragma('journal_mode = WAL');
  sqlite.pragma('synchronous = FULL');
  for (const migration of outboxFormat.migrations) migration(sqlite);
  const insert = sqlite.prepare('INSERT INTO outbox (kind, watch, timestamp, checksum, body) VALUES (?, ?, ?, 0, ?)');
  return rateOfSteps(writer(sqlite, insert, verdictDrafts(BATCH)), measureMs);
}

/** Opens a bare table. `write` writes all drafts in one transaction and returns their number. */
export function bareOutbox(folder: string, drafts: readonly RecordDraft[]) {
  const sqlite = new Database(join(folder, 'bare.db'));
  sqlite.pragma('journal_mode = WAL');
  sqlite.pragma('synchronous = FULL');
  sqlite.exec(
    'CREATE TABLE record (sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, watch TEXT, timestamp REAL, body TEXT)',
  );
  const insert = sqlite.prepare('INSERT INTO record (kind, watch, timestamp, body) VALUES (?, ?, ?, ?)');
  return { write: writer(sqlite, insert, drafts), sqlite };
}

function writer(sqlite: Database.Database, insert: Database.Statement, drafts: readonly RecordDraft[]): () => number {
  const rows = drafts.map((draft) => [draft.kind, draft.watch, draft.timestampMs, draftJson(draft)]);
  const writeAll = sqlite.transaction(() => {
    for (const row of rows) insert.run(row);
  });
  return () => {
    writeAll();
    return rows.length;
  };
}

/** Opens an outbox in `folder`; the caller disposes of it. */
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

/** Starts the storage of the sample history in `folder`; the caller disposes of it. */
export function startHistory(folder: string, deps: Deps): HistoryStorage {
  const config = outboxConfigSchema.parse({ path: join(folder, 'outbox.db') });
  const storage = new HistoryStorage({ entry: historyWorkerEntry, config, deps });
  storage.start();
  return storage;
}
