import type { TagReading } from '../contracts/live-events.ts';
import type { Quality } from '../domain/sample/quality.ts';
import type { RecordBody, RecordDraft } from '../domain/record/record.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import { shortestFloat32 } from '../domain/alarm/verdict-rule.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';

/**
 * Builds the record of a verdict: the payload of subscribers, the execution provider and the reasons why earlier ones in
 * the list are not used, and for each tag its value in the window's last row (null if missing) and its quality.
 *
 * @param lastRow NaN for a missing value; undefined without a window.
 * @param readings Current readings of the watch's tags, in the order of the row.
 */
export function verdictDraft(
  verdict: Verdict,
  lastRow: Float32Array | undefined,
  readings: readonly TagReading[],
): RecordDraft {
  const { timestamp_ms: _, ...payload } = verdictPayload(verdict, undefined);
  const tags: Record<string, number | null> = {};
  const quality: Record<string, Quality> = {};
  for (const [column, reading] of readings.entries()) {
    const value = lastRow?.[column] ?? Number.NaN;
    const missing = Number.isNaN(value);
    tags[reading.tag] = missing ? null : shortestFloat32(value);
    // A value that is too old for the row is not good, although its last sample was.
    quality[reading.tag] = missing ? (reading.quality === 'good' ? 'bad' : reading.quality) : 'good';
  }
  const { provider = null, fallbacks = [] } = verdict.judgedBy ?? {};
  const body: RecordBody = { ...payload, provider, fallbacks, tags, quality };
  return { kind: 'verdict', timestampMs: verdict.timestampMs, watch: verdict.watch, body, alarm: undefined };
}
