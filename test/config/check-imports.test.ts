import { expect, test } from 'vitest';
import { importedPackages } from '../support/imported-packages.ts';

const source = (path: string): URL => new URL(`../../src/${path}`, import.meta.url);
const onlyForRunning = new Set([
  'mqtt',
  'undici',
  'prom-client',
  'pino',
  'better-sqlite3',
  'fastify',
  'onnxruntime-node',
]);

test('`andon check` loads no package that only a running agent needs', () => {
  const packages = importedPackages(source('cli/setup/check-command.ts'));
  // The walk finds what is loaded.
  expect(packages).toEqual(expect.arrayContaining(['zod', 'yaml']));
  expect(packages.filter((name) => onlyForRunning.has(name))).toEqual([]);
});

test('the code of the kinds is loaded for a running agent only', () => {
  const kinds = importedPackages(source('config/kinds.ts'));
  expect(kinds.filter((name) => onlyForRunning.has(name))).toEqual([]);
  expect(importedPackages(source('uplinks/mqtt/mqtt-uplink.ts'))).toContain('mqtt');
});
