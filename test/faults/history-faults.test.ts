import { expect, test } from 'vitest';
import { scoreSeries } from '../../src/contracts/sample-history.ts';
import { openHistory } from '../outbox/outbox-fixture.ts';
import { outboxRecords, type SeenRecord } from '../support/crash-receipts.ts';
import { describeWith } from '../support/programs.ts';
import { brokenPromises, FaultLab } from './fault-lab.ts';
import type { FaultField } from './fault-shim.ts';

const faults = [
  ['an fsync that fails with EIO', 'fsyncEio'],
  ['a full disk (ENOSPC)', 'writeEnospc'],
  ['EIO at each write', 'writeEio'],
] as const satisfies readonly (readonly [string, FaultField])[];

/*
 * The disk fails for history.db and its WAL only. Each sample that the daemon accepted is in the file once, or in a loss record.
 * A slice whose fsync failed may be in both: it is unknown if it is stored.
 */
describeWith(['gcc'], 'a history.db whose disk fails', () => {
  // Each case waits most of the time.
  test.concurrent.for(faults)(
    '%s: samples wait, and a stop reports those that are left',
    { timeout: 240_000 },
    async ([, field]) => {
      await using lab = await FaultLab.start({ faultyFiles: 'history.db' });
      const isHistoryOk = async () => !('history' in ((await lab.troubles()) ?? { history: '' }));
      await lab.until('the history is ok', isHistoryOk);
      lab.shim.set(field, -1);
      await lab.until('health names the history and the samples', async () =>
        /\d samples wait in memory/.test((await lab.troubles())?.['history'] ?? ''),
      );
      // Monitoring continues, and records are stored.
      await lab.nextJudged();
      expect(await lab.troubles()).not.toHaveProperty('outbox');
      lab.shim.set(field, 0);
      await lab.until('the history recovers', isHistoryOk);
      expect(await lab.metric('andon_history_samples_dropped_total')).toBe(0);

      lab.shim.set(field, -1);
      await lab.until('the history is reported again', async () => !(await isHistoryOk()));
      await lab.nextJudged();
      const accepted = await acceptedAtTheEnd(lab);
      await lab.agent.end('SIGTERM');
      lab.shim.set(field, 0);
      expect(brokenPromises(await lab.verify())).toEqual([]);

      const records = await outboxRecords(lab.folder);
      const lost = lossesBySource(records);
      const history = openHistory(lab.folder.path, {}, Date.now());
      const stored = (tag: string): number => history.read(tag).values.length;
      expect(lost['plc']).toBeGreaterThan(0);
      const isUnknown = field === 'fsyncEio';
      const expectAll = (tag: string, source: string, samples: number): void => {
        const both = stored(tag) + (lost[source] ?? 0) - samples;
        expect(both).toBeGreaterThanOrEqual(0);
        expect(both).toBeLessThanOrEqual(isUnknown ? (lost[source] ?? 0) : 0);
      };
      expectAll('level', 'plc', accepted);
      const scores = records.filter(({ kind, score }) => kind === 'verdict' && typeof score === 'number').length;
      expectAll(scoreSeries('level'), scoreSeries('level'), scores);
      // Rollups are in the same transactions.
      const request = { tag: 'level', fromMs: 0, toMs: 1e15, resolution: '1m' } as const;
      const rollup = history.handlers.rollup(request) as { readonly counts: Iterable<number> };
      expect([...rollup.counts].reduce((sum, count) => sum + count, 0)).toBe(stored('level'));
      history.stop();
    },
  );
});

/** Stops the device, and returns the number of good samples so far. */
async function acceptedAtTheEnd(lab: FaultLab): Promise<number> {
  lab.plant.plc.faults.resetOnConnect = true;
  lab.plant.plc.faults.mutate = () => [];
  await lab.until('the device is reported', async () => 'source/plc' in ((await lab.troubles()) ?? {}));
  return await lab.metric('andon_history_samples_total');
}

/** Number of lost samples of each source. */
function lossesBySource(records: readonly SeenRecord[]): Readonly<Record<string, number>> {
  const sources = records
    .filter((record) => record.kind === 'loss' && record['records'] === 'history')
    .flatMap((record) => Object.entries(record['sources'] as Readonly<Record<string, number>>));
  const total: Record<string, number> = {};
  for (const [source, count] of sources) total[source] = (total[source] ?? 0) + count;
  return total;
}
