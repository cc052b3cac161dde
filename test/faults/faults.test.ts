import { expect, test } from 'vitest';
import { describeWith } from '../support/programs.ts';
import { brokenPromises, FaultLab } from './fault-lab.ts';
import { faultCases } from './fault-cases.ts';
import { faultRuns } from './fault-runs.ts';
import { NotPermitted } from './failing-file-system.ts';
import { attackTwice } from './hostile-run.ts';
import { failures, runSimulations } from './run-simulations.ts';
import { powerCuts } from './power-cut-case.ts';

/*
 * One short case of each fault that `npm run campaign` makes for longer. The oracle: what a subscriber or uplink received is
 * stored, no id stands for two records, no sequence is missing without a loss record, and each uplink gets every record.
 */
const inTheGate = new Set([
  'fsync fails with EIO',
  'the disk is full (ENOSPC)',
  'fsync takes 300 ms',
  'the clock is set back by 1 h',
  'the broker of subscribers and of an uplink stops',
  'the broker restarts every 2 s',
  'the broker and the HTTP receiver take one byte a second',
  'standard output is not read',
]);

describeWith(['gcc'], 'faults of a running daemon', () => {
  test('are reported, recover, and lose no record in silence', { timeout: 600_000 }, async () => {
    await using lab = await FaultLab.start();
    for (const { name, run } of faultCases.filter((each) => inTheGate.has(each.name)))
      console.log(name, JSON.stringify(await run(lab, 1_000)));
    expect(brokenPromises(await lab.verify())).toEqual([]);
  });

  test.for(faultRuns.filter(({ name }) => name === 'a downgrade'))(
    '$name breaks no promise',
    { timeout: 600_000 },
    async ({ name, run }) => {
      const figures = await run(1);
      console.log(name, JSON.stringify(figures));
      expect(figures).toMatchObject({ 'records lost without a loss record': 0, 'ids used twice': 0 });
    },
  );

  test('an ext4 that becomes read-only in use has no id used twice', { timeout: 600_000 }, async ({ skip }) => {
    const readOnly = faultRuns.find(({ name }) => name === 'the file system becomes read-only in use');
    try {
      const figures = await readOnly?.run(1);
      console.log(JSON.stringify(figures));
      expect(figures).toMatchObject({ 'ids used twice': 0 });
    } catch (error) {
      if (!(error instanceof NotPermitted)) throw error;
      skip(error.message);
    }
  });

  test('a simulation of disk, clock, network and crashes keeps every promise', { timeout: 600_000 }, async () => {
    const results = await runSimulations(1, 20);
    expect(failures(results)).toEqual([]);
    expect(results).toHaveLength(20);
    // The faults were made: the storage refused batches, and crashed with records in it.
    for (const key of ['stored', 'refused', 'crashes', 'faults'] as const)
      expect(Math.min(...results.map((result) => result[key]))).toBeGreaterThan(0);
  });

  test('a power cut at any moment loses no record that anyone received', { timeout: 600_000 }, async () => {
    const result = await powerCuts({ recordMs: 3_000, cuts: 20, seed: 1 });
    console.log(JSON.stringify(result));
    expect(result).toMatchObject({ cuts: 20, lost: [], idsGivenAgain: [] });
    expect(result.checked).toBeGreaterThan(100);
  });
});

test(
  'hostile connections keep no user and no health check out, and leave no memory behind',
  { timeout: 600_000 },
  async () => {
    const [, first, second] = await attackTwice(200, 10);
    expect([first.answers, second.answers]).toEqual([40, 40]);
    expect(Math.min(first.connections, second.connections)).toBeGreaterThanOrEqual(200);
    expect(second.agentBytes - first.agentBytes).toBeLessThan(20e6);
    expect(second.modelServerBytes - first.modelServerBytes).toBeLessThan(20e6);
  },
);
