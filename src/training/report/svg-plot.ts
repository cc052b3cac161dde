import { rounded } from '../core/statistics.ts';

/** A line of a plot. NaN breaks it. */
type PlotLine = { readonly name: string; readonly values: ArrayLike<number>; readonly colour: string };

export type PlotPanel = {
  readonly title: string;
  readonly lines: readonly PlotLine[];
  /** Horizontal line, such as a limit. */
  readonly level?: number;
  /** Spans of the x axis that are shaded, such as labelled faults: [from, to) in values. */
  readonly shaded?: readonly (readonly [number, number])[];
};

const WIDTH = 960;
const PANEL_HEIGHT = 110;
const LEFT = 70;
const RIGHT = 12;
const TOP = 22;
const GAP = 26;
/** Times on an axis. */
const TICKS = 5;
/** Number of buckets of a line; the lowest and highest value of each is drawn, so that no spike is lost. */
const BUCKETS = 450;

/**
 * Draws panels below each other with one x axis: plain SVG without script or font, for any browser and Markdown viewer.
 *
 * @param caption Label of the x axis, under the last panel.
 * @param timesMs Time of each value, epoch ms, for an axis in UTC; undefined if the values have no times.
 */
export function svgPlot(panels: readonly PlotPanel[], caption: string, timesMs?: Float64Array): string {
  const end = TOP + panels.length * (PANEL_HEIGHT + GAP);
  const ticks = timesMs === undefined ? [] : timeTicks(timesMs, end - GAP);
  const height = end + (ticks.length === 0 ? 10 : 28);
  const body = panels.map((panel, index) => panelSvg(panel, TOP + index * (PANEL_HEIGHT + GAP)));
  const label = `<text x="${LEFT}" y="${height - 8}" fill="#666">${escaped(caption)}</text>`;
  return svgDocument(height, [...body, ...ticks, label]);
}

/** Draws times under the last panel, which ends at `y`. */
function timeTicks(timesMs: Float64Array, y: number): readonly string[] {
  if (timesMs.length < 2) return [];
  return Array.from({ length: TICKS }, (_, tick) => {
    const share = tick / (TICKS - 1);
    const time = new Date(timesMs[Math.round(share * (timesMs.length - 1))] ?? 0).toISOString();
    const x = (LEFT + (WIDTH - LEFT - RIGHT) * share).toFixed(1);
    const anchor = tick === 0 ? 'start' : tick === TICKS - 1 ? 'end' : 'middle';
    const text = `${time.slice(0, 10)} ${time.slice(11, 19)}`;
    return `<path d="M${x} ${y}v5" stroke="#999"/><text x="${x}" y="${y + 18}" fill="#666" text-anchor="${anchor}">${text}</text>`;
  });
}

/** Draws bars of shares, the longest first. */
export function svgBars(bars: readonly { readonly name: string; readonly share: number }[]): string {
  const row = 22;
  const largest = Math.max(...bars.map(({ share }) => share), 1e-9);
  const body = bars.map(({ name, share }, index) => {
    const y = 10 + index * row;
    const width = ((WIDTH - 420) * share) / largest;
    return [
      `<text x="290" y="${y + 14}" text-anchor="end">${escaped(name)}</text>`,
      `<rect x="300" y="${y}" width="${width.toFixed(1)}" height="${row - 6}" fill="#2a6fb0"/>`,
      `<text x="${(306 + width).toFixed(1)}" y="${y + 14}">${(share * 100).toFixed(1)} %</text>`,
    ].join('');
  });
  return svgDocument(bars.length * row + 20, body);
}

function svgDocument(height: number, body: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`;
  return [head, `<rect width="${WIDTH}" height="${height}" fill="white"/>`, ...body, '</svg>', ''].join('\n');
}

function panelSvg({ title, lines, level, shaded = [] }: PlotPanel, top: number): string {
  const count = Math.max(1, ...lines.map(({ values }) => values.length));
  const { low, high } = extent(lines, level);
  const x = (index: number) => (LEFT + ((WIDTH - LEFT - RIGHT) * index) / Math.max(count - 1, 1)).toFixed(1);
  const y = (value: number) => (top + PANEL_HEIGHT * (1 - (value - low) / (high - low))).toFixed(1);
  const bottom = top + PANEL_HEIGHT;
  return [
    ...shaded.map(
      ([from, to]) =>
        `<rect x="${x(from)}" y="${top}" width="${(Number(x(to)) - Number(x(from))).toFixed(1)}" height="${PANEL_HEIGHT}" fill="#f4d3cf"/>`,
    ),
    `<rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL_HEIGHT}" fill="none" stroke="#ccc"/>`,
    `<text x="${LEFT}" y="${top - 6}" font-weight="bold">${escaped(title)}</text>`,
    `<text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">${rounded(high, 4)}</text>`,
    `<text x="${LEFT - 6}" y="${bottom}" text-anchor="end">${rounded(low, 4)}</text>`,
    ...(level === undefined
      ? []
      : [
          `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(level)}" y2="${y(level)}" stroke="#b5322a" stroke-dasharray="5 3"/>`,
        ]),
    ...lines.map(
      ({ name, values, colour }) =>
        `<path d="${path(values, x, y)}" fill="none" stroke="${colour}"><title>${escaped(name)}</title></path>`,
    ),
  ].join('\n');
}

function extent(lines: readonly PlotLine[], level: number | undefined) {
  let low = level ?? Infinity;
  let high = level ?? -Infinity;
  for (const { values } of lines)
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index] ?? Number.NaN;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  if (!(low <= high)) return { low: 0, high: 1 };
  return low === high ? { low: low - 1, high: high + 1 } : { low, high };
}

function path(values: ArrayLike<number>, x: (index: number) => string, y: (value: number) => string): string {
  const size = Math.max(1, Math.ceil(values.length / BUCKETS));
  const parts: string[] = [];
  let drawing = false;
  for (let from = 0; from < values.length; from += size) {
    const points = bucketPoints(values, from, Math.min(from + size, values.length));
    if (points.length === 0) drawing = false;
    for (const index of points) {
      parts.push(`${drawing ? 'L' : 'M'}${x(index)} ${y(values[index] ?? 0)}`);
      drawing = true;
    }
  }
  return parts.join('');
}

/** Returns the indices of the lowest and the highest value of [from, to), in order; none if all are missing. */
function bucketPoints(values: ArrayLike<number>, from: number, to: number): readonly number[] {
  let lowest = -1;
  let highest = -1;
  for (let index = from; index < to; index += 1) {
    const value = values[index] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    if (lowest < 0 || value < (values[lowest] ?? 0)) lowest = index;
    if (highest < 0 || value > (values[highest] ?? 0)) highest = index;
  }
  if (lowest < 0) return [];
  return lowest === highest ? [lowest] : [Math.min(lowest, highest), Math.max(lowest, highest)];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
