/**
 * Parses a Retry-After header: whole seconds, or a date.
 *
 * @returns Milliseconds from now, 0 for a past date; undefined if the header is missing or invalid.
 * @see RFC 9110, section 10.2.3.
 */
export function parseRetryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts nearly any text. An HTTP date starts with the name of a day.
  const dateMs = /^\s*[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}
