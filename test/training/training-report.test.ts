import { expect, test } from 'vitest';
import { candidates } from '../../src/training/catalogue/algorithms.ts';
import { anomalyDecision, trainModel } from '../../src/training/report/train-model.ts';
import { trainingReport } from '../../src/training/report/training-report.ts';
import { machineRows } from './machine.ts';

test('the report names the states of the machine that the rows contain, by tags with few values', async () => {
  const machine = machineRows(600, 1);
  // The second tag is 1 in three quarters of the rows, otherwise 0.
  const values = machine.values.map((value, index) => (index % 3 === 1 ? Number(index % 12 !== 1) : value));
  const rows = { ...machine, values };
  const tags = ['load', 'running', 'temperature'].map((name) => ({ name, unit: '' }));
  const trained = await trainModel({
    task: 'anomaly',
    algorithm: candidates('anomaly', 'wpca', 3)[0],
    segments: [rows],
    targets: undefined,
    classes: [],
    tags,
    stepMs: 1000,
    description: 'A machine',
    decision: anomalyDecision,
    provenance: {},
  });
  const read = { algorithm: 'wpca', rowsRead: 600, findings: [], provenance: {} };
  const report = trainingReport(trained, { task: 'anomaly', tags, segments: [rows], ...read }).get('report.md');
  expect(report).toContain('- **running** 1 (75 %), 0 (25 %)\n');
  expect(report).not.toContain('**load**');
});
