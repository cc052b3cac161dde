import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { andon } from './run-andon.ts';

const sources = {
  plc: {
    type: 'modbus',
    url: 'tcp://127.0.0.1:9',
    tags: { level: { register: 'holding', address: 0, type: 'uint16' } },
  },
};

/** Starts the agent, which adds a record, and ends it. */
async function startAndEnd(folder: AgentFolder): Promise<void> {
  await using agent = await AgentProcess.start(folder.configFile);
  expect(await agent.end('SIGTERM')).toBe(0);
}

test('audit verify finds a log that was written again as a whole, if a key is configured', async () => {
  using folder = new AgentFolder();
  const verify = async () => {
    const { code, stdout } = await andon('audit', 'verify', '-c', folder.configFile);
    return { code, text: stdout };
  };
  folder.configure({ sources });
  await startAndEnd(folder);
  const first = await verify();
  expect(first).toEqual({ code: 0, text: expect.stringMatching(/^operators: 1 records, .*intact, without a key/) });

  writeFileSync(join(folder.path, 'short'), 'too short');
  folder.configure({ sources, audit: { key: { file: 'short' } } });
  const checked = await andon('check', folder.configFile);
  expect(checked).toMatchObject({ code: 78, stderr: expect.stringContaining('it needs 32 or more') });

  const file = join(folder.path, 'audit.key');
  writeFileSync(file, createHash('sha256').update('key').digest('hex'), { mode: 0o600 });
  const audit = { key: { file } };
  folder.configure({ sources, audit });
  await startAndEnd(folder);
  const later = await verify();
  expect(later).toEqual({
    code: 1,
    text: expect.stringContaining('add the hash of the last of them to audit.after: '),
  });
  const after = /audit\.after: ([0-9a-f]{64})/.exec(later.text)?.slice(1);
  folder.configure({ sources, audit: { ...audit, after } });
  expect(await verify()).toEqual({
    code: 0,
    text: expect.stringMatching(/^operators: 2 records, .*intact, and the key proves it/),
  });
  expect((await andon('audit', 'export', '-c', folder.configFile)).code).toBe(0);

  const log = join(folder.path, 'audit.jsonl');
  remake(log);
  expect(await verify()).toEqual({ code: 1, text: expect.stringContaining('operators: line 1 of audit.jsonl has no') });
  expect(await andon('audit', 'export', '-c', folder.configFile)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('The log of operators is not proved'),
  });
  // Without the key, the same log looks intact.
  folder.configure({ sources });
  expect((await verify()).code).toBe(0);
});

/** Writes all lines again, without HMACs and with correct hashes. */
function remake(log: string): void {
  let previous = '0'.repeat(64);
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  const made = lines.map((line) => {
    const { hash: _h, hmac: _m, ...record } = JSON.parse(line) as Record<string, unknown>;
    const body = JSON.stringify({ ...record, actor: 'somebody else', previous });
    previous = createHash('sha256').update(body).digest('hex');
    return `${body.slice(0, -1)},"hash":"${previous}"}`;
  });
  writeFileSync(log, `${made.join('\n')}\n`);
}
