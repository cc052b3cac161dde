import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExportedModels } from '../support/exported-models.ts';
import { describeWith, pythonWith } from '../support/programs.ts';

/*
 * Models of scikit-learn, LightGBM and XGBoost, written by their exporters as docs/your-own-model.md describes it, judge
 * windows and give the values of their library.
 */
const lightgbm = pythonWith('lightgbm, onnxmltools', 'lightgbm onnxmltools');
const xgboost = pythonWith('xgboost, onnxmltools', 'xgboost-cpu onnxmltools');
let models: ExportedModels | undefined;

afterAll(() => models?.[Symbol.dispose]());

describeWith([pythonWith('skl2onnx, sklearn', 'scikit-learn skl2onnx')], 'models of scikit-learn', () => {
  beforeAll(() => {
    const more = [...(lightgbm === 'python3' ? ['lightgbm'] : []), ...(xgboost === 'python3' ? ['xgboost'] : [])];
    models = ExportedModels.make('foreign-models.py', more);
  }, 240_000);

  test.each(['isolation-forest', 'one-class-svm', 'random-forest', 'regressor', 'autoencoder', 'flat'])(
    '%s gives the values of the library',
    async (name) => expect(await models?.largestGap(name)).toBeLessThan(1e-4),
  );

  test('a classifier with ZipMap is refused with the option of the exporter', async () => {
    expect(await models?.refusal('zipmap')).toMatch(/'output_probability' is not a tensor.*'zipmap': False/);
  });

  test('a pipeline with one input for each column is refused for a watch', async () => {
    expect(await models?.refusal('columns')).toMatch(/has 2 inputs, 'grade', 'speed', expected 'X' only/);
  });

  describeWith([lightgbm], 'models of LightGBM', () => {
    test('give the values of the library', async () => expect(await models?.largestGap('lightgbm')).toBeLessThan(1e-4));

    test('are refused with ZipMap, with the option of the exporter', async () => {
      expect(await models?.refusal('lightgbm-zipmap')).toMatch(/'probabilities' is not a tensor.*zipmap=False/);
    });
  });

  describeWith([xgboost], 'models of XGBoost', () => {
    test('give the values of the library', async () => expect(await models?.largestGap('xgboost')).toBeLessThan(1e-4));
  });
});
