import type { TrainingInput } from '../../src/training/core/algorithm.ts';
import type { TrainingRows } from '../../src/training/core/training-rows.ts';
import { seededRandom } from './seeded-random.ts';

/** Rows of four tags, each a part with a quality and one of three classes that hang on how two tags act together. */
export type LabelledTable = {
  readonly rows: TrainingRows;
  readonly classes: Float64Array;
  readonly quality: Float64Array;
};

/** The fourth tag is noise; one label in twenty is wrong, one in ten is missing. Values are float32. */
export function labelledTable(count: number, seed: number): LabelledTable {
  const random = seededRandom(seed);
  const values = new Float64Array(count * 4);
  const classes = new Float64Array(count);
  const quality = new Float64Array(count);
  for (let row = 0; row < count; row += 1) {
    const [load, heat, wear, other] = [random(), random(), random(), random()];
    values.set([200 + 50 * load, 4096 + heat, 1e-3 * wear ** 4, other].map(Math.fround), row * 4);
    const kind = load > 0.5 === heat > 0.5 ? 0 : wear > 0.6 ? 2 : 1;
    classes[row] = random() < 0.05 ? Math.floor(random() * 3) : kind;
    quality[row] = 500 + 20 * Math.abs(load - 0.5) + 10 * Number(heat > 0.3) + random();
    if (random() < 0.1) classes[row] = Number.NaN;
  }
  return { rows: { count, tags: 4, values }, classes, quality };
}

export function classification({ rows, classes }: LabelledTable, windowRows = 1): TrainingInput {
  const names = ['good', 'skewed', 'worn'];
  return { ...common(rows, windowRows), task: 'classification', targets: [classes], classes: names };
}

export function regression({ rows, quality }: LabelledTable, windowRows = 1): TrainingInput {
  return { ...common(rows, windowRows), task: 'regression', targets: [quality], classes: [] };
}

function common(rows: TrainingRows, windowRows: number) {
  return { segments: [rows], windowRows, seed: 1, onProgress: () => undefined };
}
