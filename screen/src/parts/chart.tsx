import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { formatDate, formatDateTime, formatNumber, formatTime } from '../texts/format.ts';
import { language, t } from '../texts/language.ts';
import { theme } from './theme.ts';

export type ChartSeries = {
  readonly label: string;
  /** Name of a color of the page, such as '--curve'. */
  readonly color: string;
  readonly unit?: string | undefined;
  readonly dash?: readonly number[] | undefined;
  readonly width?: number;
  /** Series with the same scale share an axis. */
  readonly scale?: string | undefined;
  /** Draws no line; used for the edges of an area. */
  readonly isEdge?: boolean;
};

/** A time in which the background of a chart is marked. */
export type ChartMark = { readonly fromMs: number; readonly toMs: number; readonly color: string };

export type ChartData = readonly [readonly number[], ...(readonly (number | null | undefined)[])[]];

type ChartProps = {
  /** Name of the chart for a screen reader. */
  readonly label: string;
  /** `frequency`: the first column has Hz, and the fields named Ms are thousandths of Hz. Default: time. */
  readonly abscissa?: 'time' | 'frequency';
  /** Times in seconds, then a column for each series. */
  readonly data: ChartData;
  readonly series: readonly ChartSeries[];
  /** Pairs of columns, upper edge first, with the area between them filled. */
  readonly areas?: readonly (readonly [upper: number, lower: number])[];
  readonly marks?: readonly ChartMark[];
  /** A horizontal band, such as the normal range of a tag. */
  readonly band?: readonly [low: number, high: number] | undefined;
  /** The scale is linear up to this value and logarithmic above it; undefined is linear. */
  readonly linearTo?: number | undefined;
  readonly fromMs: number;
  readonly toMs: number;
  readonly height: number;
  readonly onZoom?: (fromMs: number, toMs: number) => void;
};

const SCALE = 'y';
const AXIS_WIDTH = 58;

/** A chart over time, or over frequency. Dragging zooms; the cursors of all charts of a page move together. */
export function Chart(props: ChartProps): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const present = useRef(props);
  present.current = props;
  const shape = JSON.stringify([props.series, props.areas, props.height, props.linearTo, language.value]);
  useEffect(() => {
    const parent = element.current;
    if (parent === null) return;
    const made = new uPlot(optionsOf(present, parent.clientWidth), present.current.data as uPlot.AlignedData, parent);
    chart.current = made;
    const observer = new ResizeObserver(() => {
      made.setSize({ width: parent.clientWidth, height: present.current.height });
    });
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [shape]);
  useEffect(() => {
    const { data, fromMs, toMs } = props;
    chart.current?.batch(() => {
      chart.current?.setData(data as uPlot.AlignedData, false);
      chart.current?.setScale('x', { min: fromMs / 1000, max: toMs / 1000 });
    });
  });
  useSignalEffect(() => {
    if (theme.value !== undefined) chart.current?.redraw();
  });
  return <div ref={element} class="chart" role="img" aria-label={props.label} />;
}

function optionsOf(present: { readonly current: ChartProps }, width: number): uPlot.Options {
  const { series, areas = [], height, linearTo, abscissa = 'time' } = present.current;
  const isTime = abscissa === 'time';
  const scales = [...new Set(series.map(({ scale = SCALE }) => scale))];
  const distribution = linearTo === undefined ? {} : ({ distr: 4, asinh: linearTo } as const);
  const axis = { stroke: () => pageColor('--faint'), grid: { stroke: () => pageColor('--line'), width: 1 } };
  return {
    width,
    height,
    cursor: {
      ...(isTime ? { sync: { key: 'page' } } : {}),
      drag: { x: true, y: false, setScale: false },
      focus: { prox: 24 },
    },
    legend: { live: true },
    scales: {
      x: { time: isTime },
      ...Object.fromEntries(scales.map((key) => [key, { range: padded(present), ...distribution }])),
    },
    axes: [
      {
        ...axis,
        ticks: axis.grid,
        values: (_chart, splits, _axis, _space, step) =>
          splits.map((at) => (isTime ? tick(at, step) : `${formatNumber(at)} Hz`)),
      },
      ...scales.map((scale, index): uPlot.Axis => ({
        ...axis,
        scale,
        ticks: axis.grid,
        side: index === 0 ? 3 : 1,
        size: AXIS_WIDTH,
        grid: { ...axis.grid, show: index === 0 },
        values: (_chart, splits) => splits.map((value) => formatNumber(value)),
        ...(linearTo !== undefined && steepSplits(linearTo)),
        ...(scales.length > 1 && { stroke: () => axisColor(series, scale) }),
        ...unitLabel(series, scale),
      })),
    ],
    series: [
      {
        label: isTime ? t('journal.time') : t('machine.frequency'),
        value: (_chart, at) => (at === null ? '–' : isTime ? formatDateTime(at * 1000) : `${formatNumber(at)} Hz`),
      },
      ...series.map(seriesOptions),
    ],
    bands: areas.map(([upper, lower]) => ({
      series: [upper, lower],
      fill: () => `${pageColor(series[upper - 1]?.color ?? '--curve')}40`.replace(/^rgb\((.*)\)40$/, 'rgb($1 / 0.22)'),
    })),
    hooks: {
      drawClear: [(chart) => drawBackground(chart, present.current)],
      setSelect: [
        (chart) => {
          const { left, width: selected } = chart.select;
          if (selected < 4) return;
          const [from, to] = [chart.posToVal(left, 'x'), chart.posToVal(left + selected, 'x')];
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          present.current.onZoom?.(from * 1000, to * 1000);
        },
      ],
    },
  };
}

function seriesOptions({
  label,
  color,
  unit = '',
  dash,
  width = 1.5,
  scale = SCALE,
  isEdge,
}: ChartSeries): uPlot.Series {
  return {
    label,
    scale,
    stroke: () => pageColor(color),
    width: isEdge === true ? 0 : width,
    points: { show: false },
    ...(dash === undefined ? {} : { dash: [...dash] }),
    value: (_chart, value) => (value === null || value === undefined ? '–' : `${formatNumber(value)} ${unit}`),
  };
}

/** Lines at 0 and at the decades above the linear part. Those of uPlot are too many, and one is below 0. */
function steepSplits(linearTo: number): Pick<uPlot.Axis, 'splits' | 'filter'> {
  return {
    splits: (_chart, _axis, _low, high) => {
      const decades = Math.max(0, Math.floor(Math.log10(high / linearTo)));
      return [0, ...Array.from({ length: decades + 1 }, (_, decade) => linearTo * 10 ** decade)];
    },
    filter: (_chart, splits) => splits,
  };
}

/** An axis of one series has the color of its curve, so that a reader finds it among several. */
function axisColor(series: readonly ChartSeries[], scale: string): string {
  const colors = new Set(series.filter((each) => (each.scale ?? SCALE) === scale).map(({ color }) => color));
  const [color = '--faint'] = colors;
  return pageColor(colors.size === 1 ? color : '--faint');
}

function unitLabel(series: readonly ChartSeries[], scale: string): Partial<uPlot.Axis> {
  const unit = series.find((each) => (each.scale ?? SCALE) === scale)?.unit ?? '';
  return unit === '' ? {} : { label: unit, labelSize: 18, labelFont: '12px system-ui', labelGap: 0 };
}

/** Room above and below the values; from zero on if zero is near. */
function padded(present: { readonly current: ChartProps }): uPlot.Range.Function {
  return (_chart, dataLow, dataHigh) => {
    if (dataLow === null || dataHigh === null || !Number.isFinite(dataLow)) return [0, 1];
    const [low, high] = withBand(dataLow, dataHigh, present.current.band);
    // A value that is always 0 gets an axis with short labels too.
    const room = Math.max((high - low) * 0.1, Math.abs(high) * 0.005) || 1;
    return [low >= 0 && low < high / 2 ? 0 : low - room, high + room];
  };
}

/** The normal range is in view if that does not flatten the curve. */
function withBand(low: number, high: number, band: ChartProps['band']): readonly [number, number] {
  if (band === undefined) return [low, high];
  const [bandLow, bandHigh] = band;
  const isNear = bandHigh - bandLow < 20 * Math.max(high - low, (bandHigh - bandLow) / 20);
  return isNear ? [Math.min(low, bandLow), Math.max(high, bandHigh)] : [low, high];
}

function drawBackground(chart: uPlot, { marks = [], band }: ChartProps): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  if (band !== undefined) {
    const [top, bottom] = [chart.valToPos(band[1], SCALE, true), chart.valToPos(band[0], SCALE, true)];
    ctx.fillStyle = pageColor('--band');
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  }
  for (const { fromMs, toMs, color } of marks) {
    const left = chart.valToPos(fromMs / 1000, 'x', true);
    const right = chart.valToPos(toMs / 1000, 'x', true);
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = pageColor(color);
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(left, bbox.top + bbox.height - 5, Math.max(2, right - left), 5);
  }
  ctx.restore();
}

function tick(seconds: number, stepS: number): string {
  if (stepS >= 86_400) return formatDate(seconds * 1000);
  const time = formatTime(seconds * 1000);
  return stepS >= 60 ? time.slice(0, 5) : time;
}

/** Returns a color of the page for a canvas, which knows no var() and no light-dark(). */
function pageColor(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
