import { createHash, createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/contracts/model-audit-entry.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { auditLine, type ChainPosition, modelAudit } from '../../src/registry/audit/audit-chain.ts';
import { type AuditConfig, AuditKey } from '../../src/registry/audit/audit-key.ts';
import { AuditLog } from '../../src/registry/audit/audit-log.ts';
import { meanOf4x2 } from '../support/onnx-host-harness.ts';
import { RegistryHarness } from '../support/registry-harness.ts';

/* With a key, who may write the file but does not have the key cannot write a log that is accepted. */
let directory: string;
let log: string;
let config: AuditConfig;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'andon-audit-key-'));
  log = join(directory, 'audit.jsonl');
  config = { key: newKey('key'), after: [] };
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function newKey(name: string): { readonly file: string } {
  const file = join(directory, name);
  writeFileSync(file, `${createHash('sha256').update(name).digest('hex')}\n`);
  return { file };
}

function audit(settings = config): AuditLog<AuditEntry> {
  return new AuditLog({ directory, config: settings, format: modelAudit, clock: new SystemClock() });
}

async function write(count: number, settings = config): Promise<void> {
  for (let version = 1; version <= count; version += 1)
    await audit(settings).append({
      actor: 'cli:root',
      action: 'install',
      model: 'pump',
      version,
      outcome: 'ok',
      detail: {},
    });
}

const lines = () => readFileSync(log, 'utf8').trimEnd().split('\n');
const save = (text: readonly string[]) => writeFileSync(log, `${text.join('\n')}\n`);
const hashOf = (line: string | undefined) => (JSON.parse(line ?? '{}') as { readonly hash: string }).hash;

/** Writes the whole log again with other content and correct hashes, as an attacker does. */
function remake(key?: { readonly file: string }): void {
  let at: ChainPosition = { sequence: 1, previous: '0'.repeat(64) };
  const made = lines().map((text) => {
    const { sequence: _s, timestamp_ms, previous: _p, hash: _h, hmac: _m, ...record } = JSON.parse(text) as AuditEntry;
    const forged = { ...record, actor: 'cli:somebody-else' };
    const { line, hash } = auditLine(forged, at, timestamp_ms, key && AuditKey.read({ key, after: [] }));
    at = { sequence: at.sequence + 1, previous: hash };
    return line;
  });
  save(made);
}

test('each record has the id of the key and the HMAC of its hash', async () => {
  await write(2);
  const [, second] = lines();
  const secret = readFileSync(join(directory, 'key'), 'utf8').trimEnd();
  expect(second).toMatch(
    new RegExp(`,"hmac":"[0-9a-f]{16}:${createHmac('sha256', secret).update(hashOf(second)).digest('hex')}"\\}$`),
  );
  expect(await audit().report()).toMatchObject({ broken: undefined, key: 'proved', entries: [{}, {}] });
});

describe('a log that was written again as a whole, with correct hashes', () => {
  test('looks intact without a key', async () => {
    const none = { after: [] };
    await write(3, none);
    remake();
    expect(await audit(none).report()).toMatchObject({ broken: undefined, key: 'none' });
  });

  test('is found, without HMACs', async () => {
    await write(3);
    remake();
    expect(await audit().report()).toMatchObject({
      entries: [],
      broken: { file: 'audit.jsonl', line: 1, reason: expect.stringContaining('has no HMAC') },
    });
  });

  test('is found, with the key of the attacker', async () => {
    await write(3);
    remake(newKey('key of the attacker'));
    expect((await audit().report()).broken).toMatchObject({ line: 1, reason: 'has the HMAC of another key' });
  });

  test('is found after the agent has added records to it', async () => {
    await write(3);
    remake();
    await write(2);
    expect((await audit().report()).broken).toMatchObject({ line: 1 });
  });
});

describe('a line is found', () => {
  test('that was added without the key', async () => {
    await write(2);
    await write(1, { after: [] });
    const { broken, lastBeforeKey } = await audit().report();
    expect(broken).toMatchObject({ line: 3, reason: expect.stringContaining('has no HMAC') });
    // Nothing that follows records with the key is offered for `audit.after`.
    expect(lastBeforeKey).toBeUndefined();
  });

  test('with the HMAC of another line', async () => {
    await write(3);
    const all = lines();
    const hmac = /"hmac":"[^"]+"/.exec(all[0] ?? '')?.[0] ?? '';
    save(all.with(1, (all[1] ?? '').replace(/"hmac":"[^"]+"/, hmac)));
    expect((await audit().report()).broken).toMatchObject({ line: 2, reason: expect.stringContaining('not written') });
  });
});

describe('a key that was set after the first records', () => {
  test('proves the log once audit.after has the hash of the last record before it', async () => {
    await write(3, { after: [] });
    await write(2);
    const before = hashOf(lines()[2]);
    const report = await audit().report();
    expect(report).toMatchObject({ broken: { line: 1 }, lastBeforeKey: before });
    expect(await audit({ ...config, after: [before] }).report()).toMatchObject({ broken: undefined, key: 'proved' });
  });

  test('with audit.after, records before the key cannot be written again either', async () => {
    await write(3, { after: [] });
    const settings = { ...config, after: [hashOf(lines()[2])] };
    remake();
    await write(2);
    expect((await audit(settings).report()).broken).toMatchObject({ line: 1 });
  });

  test('renewed: audit.after has the hash of the last record with the old key', async () => {
    await write(3);
    const settings = { key: newKey('renewed'), after: [hashOf(lines()[2])] };
    await write(2, settings);
    expect(await audit(settings).report()).toMatchObject({ broken: undefined, key: 'proved' });
    // The old key is worth nothing after that.
    await write(1);
    expect((await audit(settings).report()).broken).toMatchObject({ line: 6, reason: 'has the HMAC of another key' });
  });
});

test('without the key in the configuration, records with an HMAC are not proved', async () => {
  await write(2);
  expect(await audit({ after: [] }).report()).toMatchObject({ broken: undefined, key: 'missing' });
});

test('a key that cannot be read, or is short, writes no record', async () => {
  const gone = { ...config, key: { file: join(directory, 'gone') } };
  await expect(write(1, gone)).rejects.toMatchObject({ code: 'secret-missing' });
  writeFileSync(join(directory, 'short'), 'too short');
  const short = { ...config, key: { file: join(directory, 'short') } };
  await expect(write(1, short)).rejects.toMatchObject({ code: 'audit-key-invalid' });
  expect(existsSync(log)).toBe(false);
});

test('without its key, the registry changes nothing', async () => {
  await using harness = new RegistryHarness({ audit: { key: { file: join(directory, 'gone') }, after: [] } });
  await expect(harness.install({ ...meanOf4x2, name: 'pump', version: 1 })).rejects.toMatchObject({
    code: 'secret-missing',
  });
  expect(existsSync(join(harness.models, 'pump'))).toBe(false);
});
