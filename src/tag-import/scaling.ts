/** Factor and offset of a tag; undefined for the defaults 1 and 0. */
export type Scaling = { readonly scale: number | undefined; readonly offset: number | undefined };

/** Returns the factor and offset that map a raw range to a range in engineering units; undefined if the raw range is empty. */
export function linearScaling(raw: readonly [number, number], scaled: readonly [number, number]): Scaling | undefined {
  const scale = (scaled[1] - scaled[0]) / (raw[1] - raw[0]);
  return Number.isFinite(scale) && scale !== 0 ? factorScaling(scale, scaled[0] - scale * raw[0]) : undefined;
}

/** Returns a factor and an offset without rounding noise: 0.1, not 0.1000000000000001. */
export function factorScaling(scale: number, offset = 0): Scaling {
  const [factor, added] = [decimal(scale), decimal(offset)];
  return { scale: factor === 1 ? undefined : factor, offset: added === 0 ? undefined : added };
}

/** Returns the short decimal number next to a value if they differ by rounding only. */
function decimal(value: number): number {
  const short = Number(value.toPrecision(12));
  return Math.abs(short - value) <= 4 * Number.EPSILON * Math.abs(value) ? short : value;
}

/** Returns the expression of a derived tag that takes the square root of a raw range, as flow transmitters need it. */
export function squareRootExpression(
  tag: string,
  raw: readonly [number, number],
  scaled: readonly [number, number],
): string {
  const share = `(tag('${tag}') - ${raw[0]}) / ${decimal(raw[1] - raw[0])}`;
  return `sqrt(${share}) * ${decimal(scaled[1] - scaled[0])} + ${scaled[0]}`;
}
