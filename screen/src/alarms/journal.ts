import { readJson } from '../agent/agent-api.ts';
import type { JournalEntry } from '../agent/api-types.ts';
import { csvField } from '../parts/csv.ts';

/** Changes of one answer. */
const PART = 500;
/** Most changes of one answer, for statistics. */
const CHANGES_MAX = 5000;

export type Journal = {
  readonly from_ms: number;
  readonly to_ms: number;
  /** False if the range has more changes than were loaded. */
  readonly complete: boolean;
  /** Cursor of the next part. */
  readonly next: string | null;
  /** Newest first. */
  readonly changes: readonly JournalEntry[];
};

/** Reads the newest changes of a range, as many as one answer can have. */
export function readJournal(fromMs: number, toMs: number): Promise<Journal> {
  return readJson<Journal>(`/api/v1/alarms/journal?from=${fromMs}&to=${toMs}&limit=${CHANGES_MAX}`);
}

/** Reads the newest part of a range. */
export function readJournalPart(fromMs: number, toMs: number): Promise<Journal> {
  return readJson<Journal>(`/api/v1/alarms/journal?from=${fromMs}&to=${toMs}&limit=${PART}`);
}

/** Returns a journal with its next, older part. */
export async function withOlder(journal: Journal): Promise<Journal> {
  const { from_ms, to_ms, next, changes } = journal;
  if (next === null) return journal;
  const older = await readJson<Journal>(
    `/api/v1/alarms/journal?from=${from_ms}&to=${to_ms}&limit=${PART}&cursor=${next}`,
  );
  return { ...older, changes: [...changes, ...older.changes] };
}

/** Returns a journal with the changes that a later reading of its newest part has in addition. */
export function withNewest(journal: Journal, newest: Journal): Journal {
  const known = new Set(journal.changes.map(({ id }) => id));
  const added = newest.changes.filter(({ id }) => !known.has(id));
  // With a whole part of new changes there may be more between them and the known ones.
  if (added.length === newest.changes.length && !newest.complete) return newest;
  return { ...journal, to_ms: newest.to_ms, changes: [...added, ...journal.changes] };
}

/** Returns the id of the alarm of a change; records of earlier versions have a watch only. */
export function alarmOf({ alarm, watch }: JournalEntry): string {
  return alarm ?? `watch/${watch ?? ''}`;
}

const COLUMNS = ['timestamp', 'alarm', 'priority', 'state', 'previous', 'change', 'cause', 'message', 'by', 'comment'];

/** Returns changes as CSV (RFC 4180) with UTC times. */
export function journalCsv(changes: readonly JournalEntry[]): string {
  const rows = changes.map((entry) => [
    new Date(entry.timestamp_ms).toISOString(),
    alarmOf(entry),
    entry.priority,
    entry.state,
    entry.previous,
    entry.change,
    entry.cause,
    entry.message,
    entry.by,
    entry.comment,
  ]);
  return [COLUMNS, ...rows].map((row) => row.map(csvField).join(',')).join('\r\n') + '\r\n';
}
