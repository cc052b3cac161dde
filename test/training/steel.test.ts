import { expect, test } from 'vitest';
import { naiveSteelResult, steelFile, steelResult } from '../../scripts/steel.ts';
import { boostedTreesAlgorithm } from '../../src/training/boosted-trees/boosted-trees.ts';
import { mlpAlgorithm } from '../../src/training/mlp/mlp.ts';
import { softmaxAlgorithm } from '../../src/training/softmax/softmax.ts';
import { describeWith } from '../support/programs.ts';

/*
 * 1,941 steel plates with 7 kinds of fault, every fifth held out. The floors are of the mean of the classes' F1, which
 * a rare fault moves as much as a common one.
 */
describeWith([steelFile], 'faults of steel plates are classified', () => {
  test.each([
    { algorithm: softmaxAlgorithm, floor: 0.72 },
    { algorithm: mlpAlgorithm, floor: 0.78 },
    { algorithm: boostedTreesAlgorithm, floor: 0.82 },
  ])(
    'by $algorithm.name with a macro F1 of at least $floor',
    async ({ algorithm, floor }) => {
      const { macroF1, logLoss, calibrationError } = await steelResult(algorithm);
      expect(macroF1).toBeGreaterThanOrEqual(floor);
      expect(logLoss).toBeLessThan(naiveSteelResult().logLoss / 2);
      expect(calibrationError).toBeLessThan(0.1);
    },
    180_000,
  );
});
