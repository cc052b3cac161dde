/** Milliseconds since 1970-01-01T00:00:00Z (UTC). May have a fraction, as the monotonic clock has. */
export type EpochMs = number;

/** Formats a time as ISO 8601 in UTC, with milliseconds, or with microseconds if the time has such a part. */
export function isoTime(timeMs: EpochMs): string {
  const microseconds = Math.round(timeMs * 1000);
  const wholeMs = Math.floor(microseconds / 1000);
  const text = new Date(wholeMs).toISOString();
  const rest = microseconds - wholeMs * 1000;
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}
