import { formatModelReference, parseModelReference } from '../../src/domain/model/model-reference.ts';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchSize, joinRows, rowOf } from '../../src/models/checks/batch-rows.ts';
import { nodesByProvider, ranOn } from '../../src/runtime/session/provider-proof.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { checkInputs, tensorData } from '../../src/models/checks/tensor-check.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import type { Tensors } from '../../src/contracts/inference.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const types = fc.constantFrom('float32', 'float64', 'int32', 'int64', 'uint8', 'uint64', 'bool', 'string' as const);

test('a batch taken apart into rows and joined again is the same batch', () => {
  fc.assert(
    fc.property(
      types,
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
      (type, rows, rest) => {
        const dims = [rows, ...rest];
        const length = dims.reduce((product, size) => product * size, 1);
        const data = tensorData(
          type,
          Array.from({ length }, (_, index) => index % 200),
        );
        const batch: Tensors = { window: { type, dims, data } };
        expect(batchSize(batch)).toBe(rows);
        expect(joinRows(Array.from({ length: rows }, (_, row) => rowOf(batch, row)))).toEqual(batch);
      },
    ),
  );
});

test('inputs pass exactly if each size agrees with the graph', () => {
  const size = fc.integer({ min: 1, max: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(size, fc.oneof(size, fc.constant(-1))), { minLength: 1, maxLength: 3 }), (axes) => {
      const dims = axes.map(([found]) => found);
      const spec = { name: 'window', type: 'float32', dims: axes.map(([, wanted]) => wanted) } as const;
      const data = new Float32Array(dims.reduce((product, found) => product * found, 1));
      const fits = axes.every(([found, wanted]) => wanted === -1 || wanted === found);
      expect(refusal(() => checkInputs([spec], { window: { type: 'float32', dims, data } })) === '').toBe(fits);
    }),
  );
});

test('an input is never looked up on the prototype', () => {
  expect(() => checkInputs([{ name: 'toString', type: 'float32', dims: [1] }], {})).toThrow("'toString' is missing");
});

test('a model is named with or without its version', () => {
  expect(parseModelReference('pump-anomaly@3')).toEqual({ name: 'pump-anomaly', version: 3 });
  expect(parseModelReference('pump-anomaly')).toEqual({ name: 'pump-anomaly', version: undefined });
  for (const text of ['', '@3', 'a@', 'a@0', 'a@x', 'A', '../a', 'a@1@2'])
    expect(parseModelReference(text)).toBeUndefined();
  expect(formatModelReference({ name: 'a', version: 2 })).toBe('a@2');
});

test('a provider is named alone or with what it must be', () => {
  const providers = (executionProviders: unknown) => modelsConfigSchema.safeParse({ executionProviders });
  expect(providers([{ name: 'cuda', required: true, deviceId: 1 }, 'cpu']).data?.executionProviders).toEqual([
    { name: 'cuda', required: true, deviceId: 1 },
    { name: 'cpu', required: false, deviceId: 0 },
  ]);
  expect(modelsConfigSchema.parse({})).toMatchObject({ deadlineMs: 1000, intraOpThreads: 1, directory: 'models' });
  for (const wrong of [[], ['tpu'], ['cpu', 'cpu'], [{ name: 'cpu', requried: true }]])
    expect(providers(wrong).success).toBe(false);
});

test('a provider counts as used only if it computed something', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'andon-test-'));
  const path = join(folder, 'profile.json');
  const event = (provider: string, operator: string) => ({ cat: 'Node', args: { provider, op_name: operator } });
  writeFileSync(
    path,
    JSON.stringify([
      { cat: 'Session', args: {} },
      event('WebGpuExecutionProvider', 'MemcpyToHost'),
      event('WebGpuExecutionProvider', 'Reshape'),
      event('CPUExecutionProvider', 'Gemm'),
    ]),
  );
  const counts = await nodesByProvider(path);
  expect(counts).toEqual({ CPUExecutionProvider: 1 });
  expect(ranOn('webgpu', counts)).toBe(false);
  expect(ranOn('cpu', counts)).toBe(true);
  rmSync(folder, { recursive: true });
});

/** The message of the thrown error; '' if none is thrown. */
function refusal(check: () => void): string {
  try {
    check();
    return '';
  } catch (error) {
    return error instanceof OperatingError ? error.message : 'another error';
  }
}
