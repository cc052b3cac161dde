import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AuditRecord, modelAudit } from '../../src/registry/audit/audit-chain.ts';
import type { AuditEntry } from '../../src/contracts/model-audit-entry.ts';
import type { AuditConfig } from '../../src/registry/audit/audit-key.ts';
import { AuditLog } from '../../src/registry/audit/audit-log.ts';
import { SystemClock } from '../../src/platform/clock.ts';

/*
 * Each line of the log has the hash of the line before. A line that is changed, deleted or inserted breaks the chain.
 * The rest of a line after a crash is recorded in the log itself.
 */
let directory = '';
let log = '';
let audit: AuditLog<AuditEntry>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'andon-audit-'));
  log = join(directory, 'audit.jsonl');
  audit = logWith({ after: [] });
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function record(version: number, detail: AuditRecord['detail'] = {}): AuditRecord {
  return { actor: 'cli:root', action: 'install', model: 'pump', version, outcome: 'ok', detail };
}

function logWith(config: AuditConfig): AuditLog<AuditEntry> {
  return new AuditLog({ directory, config, format: modelAudit, clock: new SystemClock() });
}

async function write(count: number): Promise<Buffer> {
  for (let version = 1; version <= count; version += 1)
    await audit.append(record(version, { reason: `é ${version}\n` }));
  return readFileSync(log);
}

test('an empty log is intact', async () => {
  expect(await audit.report()).toMatchObject({ entries: [], broken: undefined });
});

test('a log that cannot be read is an error, not an empty log', async () => {
  mkdirSync(log);
  await expect(audit.report()).rejects.toMatchObject({
    code: 'model-directory-unusable',
    message: expect.stringMatching(/audit\.jsonl cannot be read/) as string,
  });
});

test('lines are numbered from 1 and chained', async () => {
  await write(3);
  const { entries, broken } = await audit.report();
  expect(broken).toBeUndefined();
  expect(entries.map(({ sequence, version }) => [sequence, version])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  expect(entries[0]?.previous).toBe('0'.repeat(64));
  expect(entries[2]?.previous).toBe(entries[1]?.hash);
});

test('the hash of a line is over the text before it and a brace, so that other tools can check it', async () => {
  await write(1);
  const line = readFileSync(log, 'utf8').trimEnd();
  const [before = '', hash] = line.split(',"hash":"');
  expect(hash).toBe(`${createHash('sha256').update(`${before}}`).digest('hex')}"}`);
});

describe('a change is found', () => {
  test('of any byte before the last line', async () => {
    const bytes = await write(4);
    const lastLine = bytes.lastIndexOf(10, bytes.length - 2) + 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(lastLine - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ by;
        writeFileSync(log, other);
        const { broken } = await audit.report();
        const line = bytes.subarray(0, at).filter((byte) => byte === 10).length + 1;
        expect(broken?.line).toBe(line);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['deleted', (lines: string[]) => lines.toSpliced(1, 1), 2],
    ['deleted at the beginning', (lines: string[]) => lines.slice(1), 1],
    ['inserted twice', (lines: string[]) => lines.toSpliced(2, 0, lines[1] ?? ''), 3],
    ['moved', ([a = '', b = '', ...rest]: string[]) => [b, a, ...rest], 1],
    ['inserted blank', (lines: string[]) => lines.toSpliced(1, 0, ''), 2],
  ])('of a line %s', async (_, tamper, line) => {
    const lines = (await write(4)).toString().trimEnd().split('\n');
    writeFileSync(log, `${tamper(lines).join('\n')}\n`);
    expect((await audit.report()).broken).toMatchObject({ file: 'audit.jsonl', line });
  });

  test('of a line whose hash was recomputed, because the next line has the old hash', async () => {
    const lines = (await write(3)).toString().trimEnd().split('\n');
    const body = lines[1]?.replace('"outcome":"ok"', '"outcome":"refused"').replace(/,"hash":.*/, '}') ?? '';
    const hash = createHash('sha256').update(body).digest('hex');
    lines[1] = `${body.slice(0, -1)},"hash":"${hash}"}`;
    writeFileSync(log, `${lines.join('\n')}\n`);
    const { broken } = await audit.report();
    expect(broken).toMatchObject({ line: 3, reason: expect.stringMatching(/does not follow/) as string });
  });

  test('at the end is recorded by the next operation', async () => {
    const bytes = await write(2);
    writeFileSync(log, bytes.toString().replace('"version":2', '"version":7'));
    await audit.append(record(3));
    const { entries, broken } = await audit.report();
    expect(broken).toBeUndefined();
    expect(entries.map(({ action }) => action)).toEqual(['install', 'mend', 'install']);
    expect(entries[1]?.detail['unread_begins']).toMatch(/"version":7/);
  });
});

test('after a crash at any byte of a line, the next operation records the rest of the line and continues', async () => {
  const bytes = await write(3);
  const second = bytes.indexOf(10) + 1;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: second, max: bytes.length }), fc.boolean(), async (length, twice) => {
      writeFileSync(log, bytes.subarray(0, length));
      const whole = bytes.subarray(0, length).filter((byte) => byte === 10).length;
      const before = await audit.report();
      await audit.append(record(9));
      if (twice) {
        // The record about the cut line is cut off too.
        truncateSync(log, statSync(log).size - 30);
        await audit.append(record(9));
      }
      const { entries, broken } = await audit.report();
      expect(broken).toBeUndefined();
      expect(readFileSync(log).subarray(0, length).equals(bytes.subarray(0, length))).toBe(true);
      expect(entries.at(-1)).toMatchObject({ version: 9 });
      expect(entries.slice(0, whole).map(({ version }) => version)).toEqual([1, 2, 3].slice(0, whole));
      expect(entries.some(({ action }) => action === 'mend')).toBe(before.broken !== undefined || twice);
    }),
    { numRuns: 200 },
  );
});

describe('a log of full size', () => {
  const filler = { reason: 'x'.repeat(1_000_000) };

  async function fill(count: number): Promise<void> {
    for (let version = 1; version <= count; version += 1) await audit.append(record(version, filler));
  }

  test('continues in a new file, whose chain follows the old one', async () => {
    await fill(6);
    const { entries, broken } = await audit.report();
    expect(broken).toBeUndefined();
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(statSync(join(directory, 'audit.1.jsonl')).size).toBeGreaterThan(4_000_000);
    expect(statSync(log).size).toBeLessThan(4_000_000);
  });

  test('keeps two files and drops the oldest lines', async () => {
    await fill(11);
    const { entries, broken } = await audit.report();
    expect(broken).toBeUndefined();
    expect(entries.map(({ sequence }) => sequence)).toEqual([5, 6, 7, 8, 9, 10, 11].slice(-entries.length));
  });

  test('is broken if the rotated file is missing or has lost its first lines', async () => {
    await fill(6);
    const old = join(directory, 'audit.1.jsonl');
    const text = readFileSync(old, 'utf8');
    writeFileSync(old, text.slice(text.indexOf('\n') + 1));
    expect((await audit.report()).broken).toMatchObject({ file: 'audit.1.jsonl', line: 1 });
    rmSync(old);
    expect((await audit.report()).broken).toMatchObject({ file: 'audit.jsonl', line: 1 });
  });

  test('continues after a crash during the rotation', async () => {
    await fill(5);
    rmSync(log, { force: true });
    await audit.append(record(9));
    const { entries, broken } = await audit.report();
    expect(broken).toBeUndefined();
    expect(entries.at(-1)).toMatchObject({ version: 9 });
  });
});
