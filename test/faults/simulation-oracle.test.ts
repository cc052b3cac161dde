import Database from 'better-sqlite3';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testFolder } from '../outbox/outbox-fixture.ts';
import { Simulation } from './simulation.ts';

/* The oracle of the simulation is tried with a storage that breaks its promises: rows change behind its back. */
function runWith(sabotage: string, seed = 1): readonly string[] {
  const folder = testFolder();
  let faults = 0;
  const setFault = (): void => {
    faults += 1;
    if (faults !== 5) return;
    const file = new Database(join(folder, 'outbox.db'));
    file.exec(sabotage);
    file.close();
  };
  return new Simulation(seed, folder, setFault).run().broken;
}

test('the oracle finds a stored record that an uplink never receives', () => {
  expect(runWith('DELETE FROM outbox WHERE sequence > (SELECT max(sequence) - 5 FROM outbox)').join()).toContain(
    'never received',
  );
});

test('the oracle finds a loss that no loss record names, and the metrics that do not agree', () => {
  const broken = runWith(
    'CREATE TRIGGER forget AFTER INSERT ON loss BEGIN DELETE FROM loss WHERE number = new.number; END',
    4,
  ).join();
  expect(broken).toContain('and no loss record names it');
  expect(broken).toMatch(/the metrics count \d+ losses, its loss records \d+/);
});

test('the oracle accepts a storage that keeps its promises', () => {
  expect(runWith('SELECT 1')).toEqual([]);
});

test('a seed replays', () => {
  const results = [1, 2].map(() => new Simulation(7, testFolder(), () => undefined).run());
  expect(results[0]).toEqual(results[1]);
});
