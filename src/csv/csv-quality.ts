const SEPARATED = /[\s._-]*(?:quality|qualit[äy]t?)(?:[\s._-]*(?:code|detail))?$/i;
const WHOLE_NAME = /^(?:validity|valid)$/i;

/** Words and OPC DA codes (192 to 255) that say that a value is good. */
const GOOD = /^(?:good(?![a-z]).*|ok|valid|true|yes|1)$/i;

/** Returns the column that has the quality of all values of a file with one value a line. */
export function qualityColumn(headers: readonly string[]): string | undefined {
  return headers.find((name) => WHOLE_NAME.test(name) || SEPARATED.exec(name)?.index === 0);
}

/** Returns the column that has the quality of another column: `power_Quality` or `power Quality` for `power`. */
export function qualityColumnOf(column: string, headers: readonly string[]): string | undefined {
  return headers.find(
    (name) => name.startsWith(column) && name !== column && SEPARATED.exec(name)?.index === column.length,
  );
}

/** True if a quality says that its value is good. An empty cell says nothing, and what is not known is not good. */
export function isGoodQuality(cell: string): boolean {
  const text = cell.trim();
  const code = /^\d{3}$/.test(text) ? Number(text) : 0;
  return text === '' || GOOD.test(text) || (code >= 192 && code <= 255);
}
