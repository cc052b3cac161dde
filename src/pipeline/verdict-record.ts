import type { TagReading } from '../contracts/live-events.ts';
import type { Quality } from '../domain/sample/quality.ts';
import type { RecordBody, RecordDraft } from '../domain/record/record.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import { shortestFloat32 } from '../domain/alarm/verdict-rule.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';

/**
 * A verdict with what it was judged on: the payload that subscribers get, the execution provider and why those before
 * it are not in use, and for each tag its value in the window's last row (null where missing) and its quality.
 *
 * @param lastRow NaN where missing; undefined where there was no window.
 * @param readings The watch's tags as they are now, in the order of the row.
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
    // A value too old for the row is no good value, even though it was one when it came.
    quality[reading.tag] = missing ? (reading.quality === 'good' ? 'bad' : reading.quality) : 'good';
  }
  const { provider = null, fallbacks = [] } = verdict.judgedBy ?? {};
  const body: RecordBody = { ...payload, provider, fallbacks, tags, quality };
  return { kind: 'verdict', timestampMs: verdict.timestampMs, watch: verdict.watch, body, alarm: undefined };
}
