import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { MarkedPeriod } from '../../src/contracts/operation/annotations.ts';
import { AnnotationDatabase } from '../../src/outbox/annotations/annotation-database.ts';
import { HistoryDatabase } from '../../src/outbox/history/history-database.ts';
import { machineRows } from '../training/machine.ts';
import { machineTags, TrainingSite } from './train-fixture.ts';

const BASE_MS = Date.UTC(2026, 0, 1);
const TRAINED_ROWS = 1500;
/** Rows with another flow: a normal state of the machine that raised a false alarm. */
const STATE = { from: 1700, to: 2000 };
/** Rows with another temperature: a fault. */
const FAULT = { from: 2300, to: 2600 };
const ROWS = 2700;

/** A site with a history of `ROWS` seconds, whose version 1 was trained on the first `TRAINED_ROWS` and is active. */
async function siteWithHistory(): Promise<TrainingSite> {
  const site = new TrainingSite();
  const { values } = machineRows(ROWS, 1);
  const shiftOf = (row: number, tag: number) => {
    if (tag === 1) return row >= STATE.from && row < STATE.to ? 2 : 0;
    return tag === 2 && row >= FAULT.from && row < FAULT.to ? 3 : 0;
  };
  const history = new HistoryDatabase(site.path('history.db'), 1e9);
  history.append({
    id: 'one',
    tags: machineTags,
    counts: machineTags.map(() => ROWS),
    timesMs: Float64Array.from({ length: 3 * ROWS }, (_, index) => BASE_MS + (index % ROWS) * 1000),
    values: Float64Array.from({ length: 3 * ROWS }, (_, index) => {
      const [tag, row] = [Math.floor(index / ROWS), index % ROWS];
      return (values[row * 3 + tag] ?? 0) + shiftOf(row, tag);
    }),
    qualities: new Uint8Array(3 * ROWS),
  });
  history.close();
  await site.train({ to: timeOf(TRAINED_ROWS) });
  writeFileSync(site.path('models/machine/active'), '1\n');
  return site;
}

function timeOf(row: number): string {
  return new Date(BASE_MS + row * 1000).toISOString();
}

type Mark = { readonly from: number; readonly to: number; readonly label: MarkedPeriod['label'] };

function mark(site: TrainingSite, marks: readonly (Mark & { readonly removed?: boolean })[]): void {
  const annotations = new AnnotationDatabase(site.path('annotations.db'));
  for (const [index, { from, to, label, removed = false }] of marks.entries()) {
    const id = String(index);
    const [fromMs, toMs] = [BASE_MS + from * 1000, BASE_MS + (to - 1) * 1000];
    const said = { text: '', actor: 'test', atMs: 0, removed: undefined };
    annotations.add({ id, watch: 'machine', fromMs, toMs, label, ...said });
    if (removed) annotations.remove(id, { actor: 'test', atMs: 1 });
  }
  annotations.close();
}

async function trained(site: TrainingSite) {
  const { out } = await site.train({ to: timeOf(TRAINED_ROWS), json: true });
  const { training } = parse(site.read('models/machine/2/model.yaml'));
  return { comparison: JSON.parse(out).comparison, training, report: site.read('models/machine/2/report.md') };
}

describe('periods that a person marked', () => {
  test('as normal are learned from any time, those of faults are not, and the new version is recommended', async () => {
    const site = await siteWithHistory();
    mark(site, [
      { ...STATE, label: 'normal' },
      { ...FAULT, label: 'fault' },
    ]);
    const { comparison, training, report } = await trained(site);
    expect(comparison).toMatchObject({ present: 'machine@1', recommendation: 'activate' });
    const [state, fault] = training.marked.periods;
    expect(state).toMatchObject({ label: 'normal' });
    // The jump into the state is abnormal for less than a window.
    expect(state.next).toBeLessThan(0.2);
    expect(state.present).toBeGreaterThan(0.9);
    expect(fault).toMatchObject({ label: 'fault' });
    expect(fault.next).toBeGreaterThan(0.9);
    expect(report).toContain('## Periods that people marked');
    expect(report).toContain('The present version machine@1 finds 1 of 1 marked faults and calls 9');
    const metrics = async (model: string) =>
      JSON.parse((await site.evaluate({ model, from: timeOf(1600), json: true })).out).evaluations[0].metrics.labelled;
    const old = await metrics('machine@1');
    expect(old).toMatchObject({ events: 1, eventsFound: 1 });
    expect(old.falseAlarmRate).toBeGreaterThan(0.9);
  });

  test('decide for the present version if the new one no longer finds faults that look like a normal period', async () => {
    const site = await siteWithHistory();
    const third = (STATE.to - STATE.from) / 3;
    mark(
      site,
      (['normal', 'fault', 'fault'] as const).map((label, index) => ({
        from: STATE.from + index * third + 20,
        to: STATE.from + (index + 1) * third,
        label,
      })),
    );
    const { comparison } = await trained(site);
    expect(comparison.recommendation).toBe('keep');
    expect(comparison.reason).toContain('finds 2 of 2 marked faults');
  });

  test('count no longer if they were removed', async () => {
    const site = await siteWithHistory();
    mark(site, [{ ...STATE, label: 'normal', removed: true }]);
    const { comparison, training, report } = await trained(site);
    expect(comparison).toBeUndefined();
    expect(training.marked).toBeUndefined();
    expect(report).not.toContain('people marked');
  });
});
