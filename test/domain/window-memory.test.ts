import { afterEach, expect, test } from 'vitest';
import { QualityGate } from '../../src/domain/sample/quality-gate.ts';
import { GOOD } from '../../src/domain/sample/quality.ts';
import { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import { createWindower } from '../../src/domain/window/windower.ts';

/*
 * Samples must not allocate memory. Windows, quality gate and batches store them in typed arrays. None may be created while
 * samples pass, except the two of each due window, which the receiver owns.
 */
const original = { Float32Array, Float64Array, Int32Array, Uint8Array };
let made = 0;

afterEach(() => {
  Object.assign(globalThis, original);
});

function countArrays(): void {
  made = 0;
  for (const [name, constructor] of Object.entries(original)) {
    const counting = new Proxy(constructor, {
      construct(target, args: unknown[], newTarget): object {
        made += 1;
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
    Object.assign(globalThis, { [name]: counting });
  }
}

test.each([
  [100, 1000],
  ['scan', 'scan'],
] as const)('no array is allocated for a sample, with step %s', (stepMs, hopMs) => {
  const tags = Array.from({ length: 8 }, (_, number) => ({
    name: `t${number}`,
    unit: '',
    range: undefined,
    deadband: 0,
    number,
    source: 's',
  }));
  const names = tags.map(({ name }) => name);
  const plan = { tags: names, steps: 1_000_000, stepMs, hopMs, maxAgeMs: 5000, latenessMs: 50, minGood: 1 };
  const windower = createWindower(plan, 0, () => undefined);
  const gate = new QualityGate(tags);
  const batch = new SampleBatch(8);
  const gated = new SampleBatch(8);
  const reported = new Uint8Array(8);
  countArrays();
  for (let timeMs = 1; timeMs <= 200_000; timeMs += 10) {
    batch.clear();
    for (let tag = 0; tag < 8; tag += 1) batch.add(tag, timeMs, timeMs, GOOD, 'none');
    gate.pass(batch, timeMs, gated, reported);
    for (let index = 0; index < gated.length; index += 1)
      windower.add(gated.tags[index] ?? 0, gated.timesMs[index] ?? 0, gated.values[index] ?? 0, true, 0);
    windower.endBatch();
    windower.advance(timeMs);
  }
  expect(windower.rows).toBeGreaterThan(1000);
  expect(made).toBe(0);
  expect(new globalThis.Float32Array(1)).toHaveLength(1);
  expect(made, 'the count must see an array').toBe(1);
});
