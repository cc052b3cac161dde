import { rmSync } from 'node:fs';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { childPids, living } from '../support/crash-children.ts';
import { andon, startAndon } from './run-andon.ts';

/** All that a process started, and what that started. */
function descendants(pid: number): readonly number[] {
  return childPids(pid).flatMap((child) => [child, ...descendants(child)]);
}

test(
  'the demo with --json ends automatically and prints one document about what happened',
  { timeout: 120_000 },
  async () => {
    const { code, stdout, stderr } = await andon('demo', '--seconds', '6', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { verdicts, directory } = JSON.parse(stdout) as { readonly verdicts: object; readonly directory: string };
    rmSync(directory, { recursive: true });
    // Six seconds are too few for a window of ten: what is said is that nothing can be said yet.
    expect(verdicts).toMatchObject({ abnormal: 0, unknown: expect.toSatisfy((count: number) => count > 0) });
  },
);

test('Ctrl-C in a demo ends it cleanly, with plant, broker and inference host', async () => {
  const child = startAndon('demo');
  const stderr = text(child.stderr);
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  const closed = once(child, 'close');
  await expect.poll(() => /^ *\d:\d\d {2}pump-1 /m.test(stdout)).toBe(true);
  const family = descendants(child.pid ?? 0);
  expect(family.length).toBeGreaterThanOrEqual(3);

  // A terminal sends it to the whole group.
  for (const pid of family) process.kill(pid, 'SIGINT');
  child.kill('SIGINT');

  const [code] = await closed;
  expect({ code, stderr: await stderr }).toEqual({ code: 0, stderr: '' });
  await expect.poll(() => living(family)).toEqual([]);
  expect(stdout).toMatch(/verdicts \(.*outbox export -c/s);
  rmSync(/^ {2}records +(\S+)$/m.exec(stdout)?.[1] ?? '', { recursive: true });
});
