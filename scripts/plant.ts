import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { judgeScore, NEVER_ABNORMAL, type VerdictRule, widenedRule } from '../src/domain/alarm/verdict-rule.ts';
import { estimatedScore, estimateOf } from '../src/domain/model/imputation.ts';
import { moveToReference } from '../src/domain/model/machine-modes.ts';
import { SeededDraws } from '../src/domain/seeded-draws.ts';
import type { FittedModel } from '../src/training/core/algorithm.ts';
import { sliceRows, type TrainingRows } from '../src/training/core/training-rows.ts';
import { centredOnModes } from '../src/training/report/mode-centres.ts';
import { movedRuns, regimesOf } from '../src/training/report/regimes.ts';
import { anomalyDecision } from '../src/training/report/train-model.ts';
import { wpcaAlgorithm } from '../src/training/wpca/wpca-detector.ts';

/*
 * Measures the default anomaly model on a synthetic plant whose normal running never changes: false alarms a day, and the
 * share of the rows of a fault that are in alarm. `npm run plant`, three minutes of one core; `--seeds N` repeats it, and
 * `--only missing,recipes` measures a part.
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

const goals: Readonly<Record<string, string>> = {
  '+1 sd': '≥ 30 %',
  '+2 sd': '100 %',
  '+4 sd': '100 %',
  flat: '100 %',
  reversed: '≥ 75 %',
};

const FAULT_SHIFT: Fault = (value) => value + 4;
const TWO_DEVIATIONS: Fault = (value) => value + 2;

async function stationary(seed: number): Promise<void> {
  const plant = new Plant(8, seed);
  const model = await fitted(plant.rows(4 * HOUR));
  const days = 7;
  let alarms = 0;
  for (let half = 0; half < 2 * days; half += 1) alarms += verdicts(model, plant.rows(12 * HOUR)).alarms;
  print(seed, 'stationary, 4 h taught: false alarms a day', (alarms / days).toFixed(2), '≤ 0.4');
  for (const [name, fault] of Object.entries(faults)) {
    const { share } = verdicts(model, faulty(plant.rows(HOUR), FAULTY_TAG, fault));
    print(seed, `${name} of one tag in 8`, percent(share), goals[name]);
  }
}

async function dirty(seed: number): Promise<void> {
  const plant = new Plant(8, seed);
  const taught = plant.rows(4 * HOUR);
  const from = 2 * HOUR;
  const rows = { ...taught, values: taught.values.slice() };
  const span = sliceRows(rows, from, from + taught.count / 10);
  span.values.set(faulty(span, FAULTY_TAG, FAULT_SHIFT).values);
  const warned = await fitted(rows);
  for (const [name, tag] of [['same', FAULTY_TAG] as const, ['other', 5] as const]) {
    const { share } = verdicts(warned, faulty(plant.rows(HOUR), tag, FAULT_SHIFT));
    print(seed, `10 % dirty training rows: ${name} fault`, percent(share), '≥ 95 %');
  }
  print(seed, '10 % dirty training rows: left out', JSON.stringify(warned.leftOut), 'the times of the fault');
}

async function wide(seed: number): Promise<void> {
  const large = new Plant(200, seed);
  const model = await fitted(large.rows(4 * HOUR));
  print(seed, '200 tags: rows of 6 h in alarm', percent(verdicts(model, large.rows(6 * HOUR)).share), '0 %');
  const { share } = verdicts(model, faulty(large.rows(HOUR), FAULTY_TAG, TWO_DEVIATIONS));
  print(seed, '+2 sd of one tag in 200', percent(share), '100 %');
}

/** Each tag is missing in turn; the fault is in the next one. */
async function missing(seed: number): Promise<void> {
  const plant = new Plant(8, seed);
  const model = await fitted(plant.rows(4 * HOUR));
  await using judge = await PartJudge.of(model);
  const normal = plant.rows(HOUR);
  const shares: number[] = [];
  let falseShare = 0;
  for (let tag = 0; tag < plant.tags; tag += 1) {
    falseShare += (await judge.share(normal, [tag])) / plant.tags;
    shares.push(await judge.share(faulty(normal, (tag + 1) % plant.tags, TWO_DEVIATIONS), [tag]));
  }
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  print(seed, 'one tag of eight missing: rows in alarm without a fault', percent(falseShare), '0 %');
  print(seed, 'one tag of eight missing: +2 sd in another tag', percent(mean), '≥ 90 %');
  print(seed, 'one tag of eight missing: the least of eight', percent(Math.min(...shares)), '');
}

/** Three recipes of 20 minutes, far apart: taught for 6 hours, judged for 6 hours. */
async function recipes(seed: number): Promise<void> {
  const plant = new Plant(8, seed);
  const draws = new SeededDraws(seed + 1000);
  const centres = Array.from({ length: 3 }, () => Array.from({ length: 8 }, () => 6 * draws.normal()));
  const run = (fault?: Fault): TrainingRows => {
    const plain = plant.rows(6 * HOUR);
    const { count, values } = fault === undefined ? plain : faulty(plain, FAULTY_TAG, fault);
    const moved = new Float64Array(count * 9);
    for (let row = 0; row < count; row += 1) {
      const recipe = Math.floor(row / 1200) % 3;
      for (let tag = 0; tag < 8; tag += 1)
        moved[row * 9 + tag] = (values[row * 8 + tag] ?? 0) + (centres[recipe]?.[tag] ?? 0);
      moved[row * 9 + 8] = recipe + 1;
    }
    return { count, tags: 9, values: moved };
  };
  const taught = run();
  const centred = centredOnModes({ segments: [taught] }, 8, 'recipe');
  const model = await fitted(...centred.segments);
  const judged = (rows: TrainingRows) => {
    const values = rows.values.slice();
    moveToReference(centred.modes, values);
    return verdicts(model, { ...rows, values });
  };
  const normal = run();
  const fault = run(TWO_DEVIATIONS);
  print(seed, 'three recipes, 6 h: false alarms', String(judged(normal).alarms), '≤ 1');
  print(seed, 'three recipes: +2 sd inside a recipe', percent(judged(fault).share), '≥ 80 %');
  const regimes = regimesOf([withoutMode(taught)]);
  if (regimes === undefined) return print(seed, 'three recipes without mode: no regime found', '');
  const unnamed = await fitted(...movedRuns(regimes, [withoutMode(taught)]));
  const alone = (rows: TrainingRows) => verdicts(unnamed, movedRuns(regimes, [withoutMode(rows)])[0] ?? rows);
  print(seed, 'three recipes without mode: false alarms', String(alone(normal).alarms), '≤ 1');
  print(seed, 'three recipes without mode: +2 sd inside a recipe', percent(alone(fault).share), '≥ 80 %');
}

/** Returns the rows without their last column. */
function withoutMode({ count, tags, values }: TrainingRows): TrainingRows {
  return { count, tags: tags - 1, values: values.filter((_, cell) => cell % tags !== tags - 1) };
}

/** Judges every 20th window with missing tags by the graph, as the agent does. */
class PartJudge implements AsyncDisposable {
  readonly #model: FittedModel;
  readonly #session: InferenceSession;

  constructor(model: FittedModel, session: InferenceSession) {
    this.#model = model;
    this.#session = session;
  }

  static async of(model: FittedModel): Promise<PartJudge> {
    return new PartJudge(model, await InferenceSession.create(model.graph(), { intraOpNumThreads: 1 }));
  }

  async share(rows: TrainingRows, absent: readonly number[]): Promise<number> {
    const { imputation, windowRows } = this.#model;
    if (imputation === undefined) return 0;
    const estimate = estimateOf(imputation, absent, windowRows);
    const rule = widenedRule(anomalyDecision, estimate?.widening ?? 1);
    let memory = NEVER_ABNORMAL;
    let alarmed = 0;
    let judged = 0;
    for (let end = windowRows; end <= rows.count; end += 20) {
      const window = Float32Array.from(sliceRows(rows, end - windowRows, end).values);
      estimate?.fill(window);
      const outputs = await this.#session.run({ window: new Tensor('float32', window, [1, windowRows, rows.tags]) });
      const parts = Array.from((outputs[imputation.parts]?.data ?? []) as Float32Array);
      memory = judgeScore(estimatedScore(imputation, parts, absent).score, rule, memory);
      if (memory.verdict === 'abnormal') alarmed += 1;
      judged += 1;
    }
    return alarmed / judged;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release();
  }
}

async function fitted(...segments: readonly TrainingRows[]): Promise<FittedModel> {
  const order = {
    task: 'anomaly',
    segments,
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

function print(seed: number, what: string, figure: string, goal = ''): void {
  console.log(`seed ${seed}  ${what.padEnd(56)} ${figure.padStart(8)}${goal === '' ? '' : `   goal ${goal}`}`);
}

/** Groups of figures by the name for `--only`. */
const groups = { stationary, dirty, wide, missing, recipes } as const;

const { values: options } = parseArgs({
  options: { seeds: { type: 'string', default: '1' }, only: { type: 'string', default: Object.keys(groups).join() } },
});
for (let seed = 1; seed <= Number(options.seeds); seed += 1)
  for (const [name, measure] of Object.entries(groups)) if (options.only.split(',').includes(name)) await measure(seed);
