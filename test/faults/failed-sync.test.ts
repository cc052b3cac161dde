import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { drainStorage, numberOf, openHistory, openStorage, testFolder } from '../outbox/outbox-fixture.ts';
import { describeWith } from '../support/programs.ts';
import { FaultShim } from './fault-shim.ts';
import { CachedDisk, readChanges } from './power-cut.ts';

/*
 * After an fsync that failed, Linux takes the written pages for clean: no later fsync writes them, and reads return them from
 * the page cache. A row that was found there after the file was opened again is not on disk yet.
 */
describeWith(['gcc'], 'a power cut after a sync that failed', () => {
  test('loses nothing that was reported as stored afterwards', { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'andon-failed-sync-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    using shim = new FaultShim(folder, { logs: true });
    const program = join(import.meta.dirname, 'failed-sync-process.ts');
    const child = spawn(process.execPath, [program, folder], {
      env: { ...process.env, ...shim.env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');

    const disk = new CachedDisk();
    for (const change of readChanges(shim.log)) disk.apply(change);
    const kept = testFolder();
    // Nothing that was not synced is left.
    for (const [path, content] of disk.afterCut(() => 1))
      if (!path.endsWith('-shm')) writeFileSync(join(kept, basename(path)), content);

    const storage = openStorage(kept, { life: 'two' });
    expect(storage.alarms().map(({ number }) => number)).toEqual([3]);
    const records = drainStorage(storage).filter(({ kind }) => kind !== 'start');
    expect(records.map((record) => `${record.kind} ${numberOf(record)}`).toSorted()).toEqual(
      ['alarm', 'verdict'].flatMap((kind) => [1, 2, 3].map((number) => `${kind} ${number}`)),
    );
    storage.stop();
    const history = openHistory(kept);
    expect([...history.read('a').values]).toEqual([1, 2, 3]);
    history.stop();
  });
});
