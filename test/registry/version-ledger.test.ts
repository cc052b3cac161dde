import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeActiveVersion } from '../../src/registry/operations/version-pointers.ts';
import { versionLedger } from '../../src/registry/version-ledger.ts';
import { RegistryHarness } from '../support/registry-harness.ts';

let harness: RegistryHarness;
let directory = '';
const ledger = () => versionLedger(directory, harness.registry, harness.deps.clock);
const file = (name: string) => join(directory, 'pump', name);

beforeEach(async () => {
  harness = new RegistryHarness();
  directory = harness.models;
  mkdirSync(join(directory, 'pump'), { recursive: true });
  await writeActiveVersion(directory, 'pump', 3);
  await writeActiveVersion(directory, 'pump', 4);
});

afterEach(() => harness[Symbol.asyncDispose]());

describe('a rollback', () => {
  test('activates the previous version', async () => {
    await ledger().rollback('pump', 4, 'it crashed');
    expect(await ledger().standing('pump')).toMatchObject({ active: 3, previous: 4, pinned: false });
    expect(await harness.audit()).toMatchObject([
      { actor: 'agent', action: 'rollback', version: 3, outcome: 'ok', detail: { from: 4, because: 'it crashed' } },
    ]);
  });

  test('from a version that is not active changes nothing', async () => {
    await writeActiveVersion(directory, 'pump', 5);
    await ledger().rollback('pump', 4, 'it crashed');
    expect(await ledger().standing('pump')).toMatchObject({ active: 5, previous: 4 });
    expect(await harness.operations()).toEqual([]);
  });

  test.each<readonly [string, () => Promise<void>]>([
    ['if the model is pinned', async () => writeFileSync(file('pinned'), '4\n')],
    ['if there is no previous version', async () => rmSync(file('previous'))],
    ['if the previous version was rejected too', () => ledger().reject('pump', 3, 'it crashed')],
  ])('is refused %s', async (_, prepare) => {
    await prepare();
    await expect(ledger().rollback('pump', 4, 'it crashed')).rejects.toMatchObject({ code: 'model-rollback-refused' });
    expect(await ledger().standing('pump')).toMatchObject({ active: 4 });
    expect(await harness.operations()).toEqual(['rollback pump refused']);
  });
});

describe('a rejection', () => {
  test('is stored in a readable file, with a time after the activation', async () => {
    await ledger().reject('pump', 4, 'it crashed once within 1h');
    const { rejected, activatedMs = 0 } = await ledger().standing('pump');
    expect(rejected).toMatchObject([{ version: 4, reason: 'it crashed once within 1h' }]);
    expect(rejected[0]?.timestampMs).toBeGreaterThanOrEqual(Math.floor(activatedMs));
    expect(JSON.parse(readFileSync(file('rejected.json'), 'utf8'))).toMatchObject([{ version: 4 }]);
  });

  test('is deleted when its version is activated; others stay', async () => {
    await ledger().reject('pump', 4, 'it crashed');
    await ledger().reject('pump', 5, 'it alarmed');
    await writeActiveVersion(directory, 'pump', 4);
    expect((await ledger().standing('pump')).rejected).toMatchObject([{ version: 5 }]);
  });

  test('in a damaged file blocks rollouts and no activation', async () => {
    writeFileSync(file('rejected.json'), '[{');
    await expect(ledger().standing('pump')).rejects.toMatchObject({ code: 'model-file-invalid' });
    await writeActiveVersion(directory, 'pump', 5);
    expect(readFileSync(file('active'), 'utf8')).toBe('5\n');
    await ledger().reject('pump', 5, 'it crashed');
    expect((await ledger().standing('pump')).rejected).toMatchObject([{ version: 5 }]);
  });
});
