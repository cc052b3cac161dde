import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExportedModels } from '../support/exported-models.ts';
import { describeWith, pythonWith } from '../support/programs.ts';

/*
 * Models of PyTorch and Keras, written by their exporters as docs/your-own-model.md describes it. The libraries need 7 GB, so the
 * gate does not install them; `npm run campaign -- --only exporters` does.
 */
let models: ExportedModels | undefined;

afterAll(() => models?.[Symbol.dispose]());

describeWith([pythonWith('torch, onnxscript', 'torch onnxscript')], 'models of PyTorch', () => {
  beforeAll(() => {
    models = ExportedModels.make('deep-models.py', ['torch']);
  }, 240_000);

  test.each(['torch', 'torch-autoencoder', 'torch-joined', 'torch-fixed'])(
    '%s gives the values of the library',
    async (name) => expect(await models?.largestGap(name)).toBeLessThan(1e-3),
  );

  test('are refused with weights in another file, with both remedies', async () => {
    expect(await models?.refusal('torch-external')).toMatch(/external_data=False/);
  });
});

describeWith([pythonWith('tensorflow, tf2onnx', 'tensorflow-cpu tf2onnx')], 'models of Keras', () => {
  beforeAll(() => {
    models = ExportedModels.make('deep-models.py', ['keras']);
  }, 240_000);

  test.each(['keras', 'keras-autoencoder'])('%s gives the values of the library', async (name) =>
    expect(await models?.largestGap(name)).toBeLessThan(1e-3),
  );
});
