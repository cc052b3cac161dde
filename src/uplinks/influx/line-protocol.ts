/** A whole number, which the line marks with 'i'. The type of a field can never change in InfluxDB. */
type WholeNumber = { readonly whole: number };

export type FieldValue = number | WholeNumber | boolean | string | null | undefined;

export type Point = {
  readonly measurement: string;
  /** Labels; an empty or undefined value omits the label. */
  readonly labels: Readonly<Record<string, string | null | undefined>>;
  /** Fields; null, undefined, NaN and infinite numbers omit the field. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Epoch in nanoseconds. */
  readonly timeNs: bigint;
};

/** InfluxDB refuses longer texts: the limit of a field is 64 kB. */
const TEXT_CHARACTERS_MAX = 16_000;

/**
 * Returns a point as a line of line protocol, without a line break; undefined if no field is left.
 *
 * @param texts False omits fields with text.
 * @see https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
 */
export function linePoint({ measurement, labels, fields, timeNs }: Point, texts: boolean): string | undefined {
  const set = Object.entries(fields)
    .map(([name, value]) => [name, fieldText(value, texts)] as const)
    .filter(([, text]) => text !== undefined)
    .map(([name, text]) => `${escaped(name)}=${text}`);
  if (set.length === 0) return undefined;
  // Sorted labels are what InfluxDB recommends for speed.
  const series = Object.entries(labels)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `,${escaped(name)}=${escaped(value ?? '')}`);
  return `${escaped(measurement, /[, ]/g)}${series.join('')} ${set.join(',')} ${timeNs}`;
}

function fieldText(value: FieldValue, texts: boolean): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === 'string') return texts ? quoted(value) : undefined;
  if (typeof value === 'boolean') return String(value);
  return Number.isSafeInteger(value.whole) ? `${value.whole}i` : undefined;
}

function quoted(text: string): string {
  return `"${printable(text.slice(0, TEXT_CHARACTERS_MAX)).replaceAll(/["\\]/g, '\\$&')}"`;
}

function escaped(text: string, special = /[,= ]/g): string {
  // A backslash cannot be escaped in names, and at the end it would escape what follows.
  return printable(text).replaceAll('\\', '/').replaceAll(special, '\\$&');
}

/** A line break would end the line; receivers differ on other control characters. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
