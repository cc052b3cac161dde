import { expect, test } from 'vitest';
import { verifyModel } from '../../src/registry/proof/model-verification.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';

import { TestModelDirectory } from '../support/onnx-directory.ts';
import { hostEntry, meanOf4x2, model } from '../support/onnx-host-harness.ts';
import { testDeps } from '../support/test-deps.ts';

test('a model is verified by its golden vectors', async () => {
  using files = new TestModelDirectory([meanOf4x2]);
  const verify = (reference: string) =>
    verifyModel({
      entry: hostEntry,
      config: modelsConfigSchema.parse({ directory: files.path }),
      model: model(reference),
      deps: testDeps(),
    });
  expect(await verify('mean')).toMatchObject({ provider: 'cpu', golden: { vectors: 2, largestDifference: 0 } });
  files.add({ ...meanOf4x2, version: 2, golden: [{ window: [1, 1, 1, 1, 1, 1, 1, 1], score: 2 }] });
  await expect(verify('mean@2')).rejects.toMatchObject({ code: 'model-golden-mismatch' });
});
