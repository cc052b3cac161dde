import { continuedColumn } from '../domain/sample/columns.ts';
import { BAD, GOOD, type QualityCode, reasonCode, reasonOf } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { invariant } from '../platform/errors.ts';
import { type Compute, parseExpression } from './expression.ts';

const NOT_READ_YET = reasonCode('not-read-yet');

/** Expressions by tag name. Valid, and without cycles. */
export type DerivedDefinitions = Readonly<Record<string, { readonly expr: string }>>;

type Derived = {
  readonly number: TagNumber;
  readonly inputs: readonly TagNumber[];
  readonly values: Float64Array;
  readonly compute: Compute;
  /** True if an input has a new sample. */
  isDue: boolean;
};

/**
 * Tags that are calculated from other tags. A derived tag has a sample for each batch with a sample of one of its inputs:
 * its quality is the worst of the inputs, its time the oldest. With a bad input it is bad and has no value.
 */
export class DerivedTags {
  /** By level: the inputs of a tag are from sources or from lower levels. */
  #levels: readonly (readonly Derived[])[] = [];
  #byName = new Map<string, Derived>();
  readonly #users = new Map<TagNumber, Derived[]>();
  #values = new Float64Array(0);
  #timesMs = new Float64Array(0);
  #qualities = new Uint8Array(0);
  #reasons = new Uint8Array(0);
  #batch = new SampleBatch(0);

  /** @param tags In the order of their numbers; they include the derived tags and their inputs. */
  constructor(definitions: DerivedDefinitions, tags: readonly Tag[]) {
    this.change(definitions, tags, { tags: new Set(), renewed: new Set() });
  }

  /** Applies other definitions. A tag that did not change keeps its state, such as an integral. */
  change(
    definitions: DerivedDefinitions,
    tags: readonly Tag[],
    changed: { readonly tags: ReadonlySet<string>; readonly renewed: ReadonlySet<TagNumber> },
  ): void {
    const numbers = new Map(tags.map(({ name, number }) => [name, number]));
    const levels: Derived[][] = [];
    const before = this.#byName;
    this.#byName = new Map();
    this.#users.clear();
    for (const [name, depth] of levelsOf(definitions)) {
      const kept = changed.tags.has(name) ? undefined : before.get(name);
      const derived = kept ?? derivedTag(name, definitions[name]?.expr ?? '', numbers);
      this.#byName.set(name, derived);
      (levels[depth] ??= []).push(derived);
      for (const input of derived.inputs) this.#users.set(input, [...(this.#users.get(input) ?? []), derived]);
    }
    this.#levels = levels;
    this.#values = continuedColumn(this.#values, tags.length, Number.NaN, changed.renewed);
    this.#timesMs = continuedColumn(this.#timesMs, tags.length, 0, changed.renewed);
    this.#qualities = continuedColumn(this.#qualities, tags.length, BAD, changed.renewed);
    this.#reasons = continuedColumn(this.#reasons, tags.length, NOT_READ_YET, changed.renewed);
    this.#batch = new SampleBatch(Object.keys(definitions).length);
  }

  get levels(): number {
    return this.#levels.length;
  }

  /** Takes the samples of the inputs, after the quality gate. */
  take(gated: SampleBatch): void {
    for (let index = 0; index < gated.length; index += 1) {
      const tag = gated.tags[index] ?? 0;
      const users = this.#users.get(tag);
      if (users === undefined) continue;
      this.#values[tag] = gated.values[index] ?? Number.NaN;
      this.#timesMs[tag] = gated.timesMs[index] ?? 0;
      this.#qualities[tag] = gated.qualities[index] ?? BAD;
      this.#reasons[tag] = gated.reasons[index] ?? 0;
      for (const derived of users) derived.isDue = true;
    }
  }

  /** Returns samples of the derived tags of a level whose inputs have new samples. Valid until the next call. */
  evaluate(level: number): SampleBatch {
    this.#batch.clear();
    for (const derived of this.#levels[level] ?? []) {
      if (!derived.isDue) continue;
      derived.isDue = false;
      this.#evaluate(derived);
    }
    return this.#batch;
  }

  #evaluate({ number, inputs, values, compute }: Derived): void {
    let quality: QualityCode = GOOD;
    let reason = 0;
    let timeMs = Infinity;
    for (const [index, input] of inputs.entries()) {
      values[index] = this.#values[input] ?? Number.NaN;
      timeMs = Math.min(timeMs, this.#timesMs[input] || timeMs);
      if ((this.#qualities[input] ?? BAD) <= quality) continue;
      quality = this.#qualities[input] as QualityCode;
      reason = this.#reasons[input] ?? 0;
    }
    // Also with a bad input, so that functions over time see the gap.
    const value = compute({ values, timeMs, isGood: quality === GOOD });
    if (quality === BAD) this.#batch.add(number, Number.NaN, timeMs, BAD, reasonOf(reason));
    else if (Number.isNaN(value)) this.#batch.add(number, Number.NaN, timeMs, BAD, 'not-read-yet');
    else this.#batch.add(number, value, timeMs, quality, reasonOf(reason));
  }
}

/** Returns the level of each derived tag: one above the highest of its inputs. */
function levelsOf(definitions: DerivedDefinitions): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  const levelOf = (name: string, path: readonly string[]): number => {
    invariant(!path.includes(name), `The configuration check accepts no cycle; ${name} is in one`);
    const known = levels.get(name);
    if (known !== undefined) return known;
    const inputs = inputsOf(definitions[name]?.expr ?? '').filter((input) => Object.hasOwn(definitions, input));
    const level = Math.max(-1, ...inputs.map((input) => levelOf(input, [...path, name]))) + 1;
    levels.set(name, level);
    return level;
  };
  for (const name of Object.keys(definitions)) levelOf(name, []);
  return levels;
}

/** Returns the names of the tags in an expression; none if the expression is invalid. */
export function inputsOf(expr: string): readonly string[] {
  const parsed = parseExpression(expr);
  return 'problem' in parsed ? [] : parsed.tags;
}

function derivedTag(name: string, expr: string, numbers: ReadonlyMap<string, TagNumber>): Derived {
  const parsed = parseExpression(expr);
  const number = numbers.get(name);
  invariant(
    !('problem' in parsed) && number !== undefined,
    `The schema accepts only valid expressions; ${name} has none`,
  );
  const inputs = parsed.tags.map((input) => numbers.get(input) ?? -1);
  invariant(!inputs.includes(-1), `The configuration check accepts only known tags; ${name} names another`);
  return { number, inputs, values: new Float64Array(inputs.length), compute: parsed.compile(), isDue: false };
}
