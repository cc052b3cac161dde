import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ActivationMonitor } from '../../src/runtime/activation-monitor.ts';
import { previousVersion, writeActiveVersion } from '../../src/registry/operations/version-pointers.ts';
import { ModelDirectory } from '../../src/models/store/model-directory.ts';
import { SystemClock } from '../../src/platform/clock.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'andon-activation-'));
  mkdirSync(join(directory, 'pump'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('the previous version changes with each activation', async () => {
  await writeActiveVersion(directory, 'pump', 1);
  await writeActiveVersion(directory, 'pump', 3);
  expect(await previousVersion(directory, 'pump')).toBe(1);
  await writeActiveVersion(directory, 'pump', 1);
  expect(await previousVersion(directory, 'pump')).toBe(3);
  expect(await new ModelDirectory(directory, { modelBytesMax: 1, trusted: undefined }).activeVersion('pump')).toBe(1);
});

test('activating the active version again keeps the previous version', async () => {
  await writeActiveVersion(directory, 'pump', 1);
  await writeActiveVersion(directory, 'pump', 2);
  await writeActiveVersion(directory, 'pump', 2);
  expect(await previousVersion(directory, 'pump')).toBe(1);
  expect(readFileSync(join(directory, 'pump', 'active'), 'utf8')).toBe('2\n');
});

test('a model with one version has no previous version', async () => {
  await writeActiveVersion(directory, 'pump', 1);
  await expect(previousVersion(directory, 'pump')).rejects.toMatchObject({
    code: 'model-no-previous',
    disposition: 'reject',
  });
});

test('a running agent notices each activation of a loaded model once, and ignores its first look', async () => {
  await writeActiveVersion(directory, 'pump', 1);
  let loaded = ['pump'];
  let changes = 0;
  using monitor = new ActivationMonitor({
    directory,
    names: () => loaded,
    clock: new SystemClock(),
  });
  monitor.start(() => (changes += 1));
  // The first look is over before the second can be.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(changes).toBe(0);
  await writeActiveVersion(directory, 'pump', 2);
  await expect.poll(() => changes).toBe(1);
  // A version that was repaired in place is tried again.
  await writeActiveVersion(directory, 'pump', 2);
  await expect.poll(() => changes).toBe(2);
  // A model that a client has loaded meanwhile is looked at from then on.
  mkdirSync(join(directory, 'valve'));
  await writeActiveVersion(directory, 'valve', 1);
  loaded = ['pump', 'valve'];
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(changes).toBe(2);
  await writeActiveVersion(directory, 'valve', 2);
  await expect.poll(() => changes).toBe(3);
});
