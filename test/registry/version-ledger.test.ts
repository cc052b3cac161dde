import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeActiveVersion } from '../../src/registry/operations/version-pointers.ts';
import { versionLedger } from '../../src/registry/version-ledger.ts';
import { RegistryHarness } from '../support/registry-harness.ts';

let harness: RegistryHarness;
let directory = '';
const ledger = () => versionLedger(directory, harness.library, harness.deps.clock);
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
  test('makes the version before the active one again', async () => {
    await ledger().rollback('pump', 4, 'it crashed');
    expect(await ledger().standing('pump')).toMatchObject({ active: 3, previous: 4, pinned: false });
    expect(await harness.audit()).toMatchObject([
      { actor: 'agent', action: 'rollback', version: 3, outcome: 'ok', detail: { from: 4, because: 'it crashed' } },
    ]);
  });

  test('of a version that is not active any more changes nothing', async () => {
    await writeActiveVersion(directory, 'pump', 5);
    await ledger().rollback('pump', 4, 'it crashed');
    expect(await ledger().standing('pump')).toMatchObject({ active: 5, previous: 4 });
    expect(await harness.acts()).toEqual([]);
  });

  test.each<readonly [string, () => Promise<void>]>([
    ['where the model is pinned', async () => writeFileSync(file('pinned'), '4\n')],
    ['where nothing was active before', async () => rmSync(file('previous'))],
    ['where the version before was rejected as well', () => ledger().reject('pump', 3, 'it crashed')],
  ])('is refused %s', async (_, prepare) => {
    await prepare();
    await expect(ledger().rollback('pump', 4, 'it crashed')).rejects.toMatchObject({ code: 'model-rollback-refused' });
    expect(await ledger().standing('pump')).toMatchObject({ active: 4 });
    expect(await harness.acts()).toEqual(['rollback pump refused']);
  });
});

describe('a rejection', () => {
  test('is remembered in a file that people can read, and is younger than the activation', async () => {
    await ledger().reject('pump', 4, 'it crashed once within 1h');
    const { rejected, activatedMs = 0 } = await ledger().standing('pump');
    expect(rejected).toMatchObject([{ version: 4, reason: 'it crashed once within 1h' }]);
    expect(rejected[0]?.timestampMs).toBeGreaterThanOrEqual(Math.floor(activatedMs));
    expect(JSON.parse(readFileSync(file('rejected.json'), 'utf8'))).toMatchObject([{ version: 4 }]);
  });

  test('is forgotten once somebody activates the version, and those of others are not', async () => {
    await ledger().reject('pump', 4, 'it crashed');
    await ledger().reject('pump', 5, 'it alarmed');
    await writeActiveVersion(directory, 'pump', 4);
    expect((await ledger().standing('pump')).rejected).toMatchObject([{ version: 5 }]);
  });

  test('in a file that is damaged begins no rollout, and keeps nobody from activating a version', async () => {
    writeFileSync(file('rejected.json'), '[{');
    await expect(ledger().standing('pump')).rejects.toMatchObject({ code: 'model-file-invalid' });
    await writeActiveVersion(directory, 'pump', 5);
    expect(readFileSync(file('active'), 'utf8')).toBe('5\n');
    await ledger().reject('pump', 5, 'it crashed');
    expect((await ledger().standing('pump')).rejected).toMatchObject([{ version: 5 }]);
  });
});
