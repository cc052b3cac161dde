/** A step into a value: the field of a structure, or the indexes of an array element, one for each dimension. */
export type PathStep = string | readonly number[];

const STEP = /\.?([^.[\]]+)|\[(\d{1,9}(?:,\d{1,9})*)\]/y;

/** Parses `[3]`, `[0,2]`, `Motor.Speed` or `Axes[1].Position`. @returns Undefined if it is not a path. */
export function parseValuePath(text: string): readonly PathStep[] | undefined {
  if (text.startsWith('.')) return undefined;
  const steps: PathStep[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (match === null) return undefined;
    const [, field, indexes] = match;
    steps.push(field ?? (indexes ?? '').split(',').map(Number));
  }
  return steps.length === 0 ? undefined : steps;
}
