import { readJson } from '../agent/agent-api.ts';
import type { JournalEntry } from '../agent/api-types.ts';
import { csvField } from '../parts/csv.ts';

/** Most changes that the page loads. */
const CHANGES_MAX = 5000;

export type Journal = {
  readonly from_ms: number;
  readonly to_ms: number;
  /** False if the range has more changes than were loaded. */
  readonly complete: boolean;
  /** Newest first. */
  readonly changes: readonly JournalEntry[];
};

export function readJournal(fromMs: number, toMs: number): Promise<Journal> {
  return readJson<Journal>(`/api/v1/alarms/journal?from=${fromMs}&to=${toMs}&limit=${CHANGES_MAX}`);
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
