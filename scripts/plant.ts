import { parseArgs } from 'node:util';
import { judgeScore, NEVER_ABNORMAL, type VerdictRule } from '../src/domain/alarm/verdict-rule.ts';
import { SeededDraws } from '../src/domain/seeded-draws.ts';
import type { FittedModel } from '../src/training/core/algorithm.ts';
import { sliceRows, type TrainingRows } from '../src/training/core/training-rows.ts';
import { anomalyDecision } from '../src/training/report/train-model.ts';
import { wpcaAlgorithm } from '../src/training/wpca/wpca-detector.ts';

/*
 * Measures the default anomaly model on a synthetic plant whose normal running never changes: false alarms a day, and the
 * share of the rows of a fault that are in alarm. `npm run plant`, two minutes of one core; `--seeds N` repeats it.
 */

const HOUR = 3_600;
const FAULTY_TAG = 3;

/** A plant: each tag is a mix of three slow factors, noise of its own that lasts some rows, and white noise. */
class Plant {
  readonly #draws: SeededDraws;
  readonly #mix: readonly (readonly number[])[];
  readonly tags: number;

  constructor(tags: number, seed: number) {
    this.tags = tags;
    this.#draws = new SeededDraws(seed);
    this.#mix = Array.from({ length: tags }, () =>
      Array.from({ length: 3 }, () => this.#draws.normal() / Math.sqrt(3)),
    );
  }

  /** Returns rows of normal running, unrelated to the rows of another call. */
  rows(count: number): TrainingRows {
    const factors = [30, 200, 1_000].map((rows) => this.#autoregressive(count, rows));
    const values = new Float64Array(count * this.tags);
    for (const [tag, mix] of this.#mix.entries()) {
      const own = this.#autoregressive(count, 5);
      for (let row = 0; row < count; row += 1) {
        const slow = factors.reduce((sum, factor, index) => sum + (factor[row] ?? 0) * (mix[index] ?? 0), 0);
        values[row * this.tags + tag] = slow + 0.3 * (own[row] ?? 0) + 0.1 * this.#draws.normal();
      }
    }
    return { count, tags: this.tags, values };
  }

  /** Stationary, variance 1, with the given time constant in rows. */
  #autoregressive(count: number, constant: number): Float64Array {
    const kept = Math.exp(-1 / constant);
    const added = Math.sqrt(1 - kept * kept);
    let value = this.#draws.normal();
    return Float64Array.from({ length: count }, () => (value = kept * value + added * this.#draws.normal()));
  }
}

type Fault = (value: number, first: number) => number;

const faults: Readonly<Record<string, Fault>> = {
  '+1 sd': (value) => value + 1,
  '+2 sd': (value) => value + 2,
  '+4 sd': (value) => value + 4,
  flat: (_, first) => first,
  reversed: (value) => -value,
};

const { values: options } = parseArgs({ options: { seeds: { type: 'string', default: '1' } } });
for (let seed = 1; seed <= Number(options.seeds); seed += 1) await measure(seed);

async function measure(seed: number): Promise<void> {
  const plant = new Plant(8, seed);
  const model = await fitted(plant.rows(4 * HOUR));
  const days = 7;
  let alarms = 0;
  for (let half = 0; half < 2 * days; half += 1) alarms += verdicts(model, plant.rows(12 * HOUR)).alarms;
  print(seed, 'stationary, 4 h taught: false alarms a day', (alarms / days).toFixed(2));
  for (const [name, fault] of Object.entries(faults))
    print(seed, `${name} of one tag in 8`, percent(verdicts(model, faulty(plant.rows(HOUR), FAULTY_TAG, fault)).share));

  const taught = plant.rows(4 * HOUR);
  const shift: Fault = (value) => value + 4;
  const from = 2 * HOUR;
  const dirty = { ...taught, values: taught.values.slice() };
  const span = sliceRows(dirty, from, from + taught.count / 10);
  span.values.set(faulty(span, FAULTY_TAG, shift).values);
  const warned = await fitted(dirty);
  print(
    seed,
    '10 % dirty training rows: same fault',
    percent(verdicts(warned, faulty(plant.rows(HOUR), FAULTY_TAG, shift)).share),
  );
  print(
    seed,
    '10 % dirty training rows: other fault',
    percent(verdicts(warned, faulty(plant.rows(HOUR), 5, shift)).share),
  );
  print(seed, '10 % dirty training rows: left out', JSON.stringify(warned.leftOut));

  const large = new Plant(200, seed);
  const wide = await fitted(large.rows(4 * HOUR));
  print(seed, '200 tags: rows of 6 h in alarm', percent(verdicts(wide, large.rows(6 * HOUR)).share));
  print(
    seed,
    '+2 sd of one tag in 200',
    percent(verdicts(wide, faulty(large.rows(HOUR), FAULTY_TAG, faults['+2 sd'] ?? shift)).share),
  );
}

async function fitted(rows: TrainingRows): Promise<FittedModel> {
  const order = {
    task: 'anomaly',
    segments: [rows],
    targets: undefined,
    classes: [],
    windowRows: undefined,
    seed: 1,
  } as const;
  return wpcaAlgorithm.fit({ ...order, onProgress: () => undefined });
}

function faulty(rows: TrainingRows, tag: number, fault: Fault): TrainingRows {
  const first = rows.values[tag] ?? 0;
  return {
    ...rows,
    values: rows.values.map((value, index) => (index % rows.tags === tag ? fault(value, first) : value)),
  };
}

/** Returns the number of alarms, and the share of the judged rows that are in alarm. */
function verdicts(model: FittedModel, rows: TrainingRows): { readonly alarms: number; readonly share: number } {
  const rule: VerdictRule = { ...anomalyDecision, ...model.decision };
  const { scores } = model.judge(rows);
  let memory = NEVER_ABNORMAL;
  let alarms = 0;
  let alarmed = 0;
  for (const score of scores) {
    const before = memory.verdict;
    memory = judgeScore(score, rule, memory);
    if (memory.verdict === 'abnormal') alarmed += 1;
    if (memory.verdict === 'abnormal' && before === 'normal') alarms += 1;
  }
  return { alarms, share: alarmed / scores.length };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function print(seed: number, what: string, figure: string): void {
  console.log(`seed ${seed}  ${what.padEnd(48)} ${figure.padStart(8)}`);
}
