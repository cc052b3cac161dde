import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { legible } from '../../src/cli/output/output.ts';
import { andon, demoConfig, shell } from './run-andon.ts';

/*
 * What a command owes to a script: an exit code that tells kinds of failure apart (0 done, 1 the check found something,
 * 64 usage, 78 the configuration is wrong), one JSON document with --json, complaints on standard error in
 * sentences, never a stack trace.
 */
const folder = mkdtempSync(join(tmpdir(), 'andon-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const broken = file('broken.yaml', 'agent: { id: a }\nsources: { plc: { type: modbus, urll: tcp://h:1, tags: {} } }\n');
const scattered = Array.from({ length: 40 }, (_, index) => {
  return `      t${index}: { register: holding, address: ${index * 200}, type: uint16 }`;
});
const slow = file(
  'slow.yaml',
  `agent: { id: a }
sources:
  line:
    type: modbus
    url: tcp://10.0.0.7
    scanInterval: 1ms
    tags:
${scattered.join('\n')}
`,
);
const csv = file('a.csv', 'time;a\n2026-01-01T00:00:00Z;1\n2026-01-01T00:00:01Z;2\n');
const nowhere = 'http://127.0.0.1:1';

test('no text from a model or a server moves the cursor of who reads it, or hides a line', () => {
  expect(legible('a\u001b]0;x\u0007\u001b[2Kb\rc\u009bd\te\n\u001b[31mred\u001b[0m')).toBe(
    'a\\u001b]0;x\\u0007\\u001b[2Kb\\u000dc\\u009bd\te\n\u001b[31mred\u001b[0m',
  );
  expect(JSON.parse(legible(JSON.stringify('a\u009b\u001b\n')))).toBe('a\u009b\u001b\n');
});

type Failure = { readonly args: readonly string[]; readonly code: number; readonly says: RegExp };

const failures: readonly Failure[] = [
  { args: [], code: 64, says: /Usage: andon/ },
  { args: ['nonsense'], code: 64, says: /unknown command 'nonsense'/ },
  { args: ['chekc', broken], code: 64, says: /Did you mean check/ },
  { args: ['check', '-c', broken], code: 78, says: /broken\.yaml:2:33: / },
  { args: ['completion', 'csh'], code: 64, says: /expected bash, zsh or fish/ },
  { args: ['check', broken, '--yaml'], code: 64, says: /unknown option '--yaml'/ },
  { args: ['demo', '--seconds', 'ten'], code: 64, says: /expected a number above 0, not 'ten'/ },
  { args: ['outbox', 'export', '--kind', 'verdicts'], code: 64, says: /alarm, verdict, sample, loss/ },
  { args: ['check', '/nowhere.yaml'], code: 78, says: /\/nowhere\.yaml:1:1: the file does not exist/ },
  { args: ['check', broken], code: 78, says: /broken\.yaml:2:33: .*urll.*'url'/ },
  { args: ['plan', broken], code: 78, says: /broken\.yaml:2:33: / },
  { args: ['run', '-c', broken], code: 78, says: /broken\.yaml:2:33: / },
  { args: ['models', 'list', '-c', '/nowhere.yaml'], code: 78, says: /the file does not exist/ },
  { args: ['models', 'show', 'no-model', '-c', demoConfig], code: 1, says: /no model 'no-model'/ },
  { args: ['models', 'show', 'pump-anomaly@99', '-c', demoConfig], code: 1, says: /pump-anomaly.*99/ },
  { args: ['models', 'verify', 'a b', '-c', demoConfig], code: 1, says: /'a b' is not a model/ },
  { args: ['status', '--token-file', '/nowhere/token'], code: 1, says: /\/nowhere\/token/ },
  { args: ['simulate', csv], code: 1, says: /--modbus tcp:/ },
  { args: ['simulate', '/nowhere.csv', '--modbus', 'tcp://127.0.0.1:0'], code: 1, says: /\/nowhere\.csv/ },
  { args: ['simulate', csv, '--modbus', 'somewhere'], code: 1, says: /expected tcp:\/\// },
];

describe('what went wrong is said on standard error, with the right code', () => {
  test.each(failures)('andon $args: $code', async ({ args, code, says }) => {
    const outcome = await andon(...args);
    expect(outcome.stderr).toMatch(says);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
  });
});

const documents: readonly { readonly args: readonly string[]; readonly code: number; readonly holds: object }[] = [
  { args: ['check', demoConfig], code: 0, holds: { ok: true, watches: 2, problems: [] } },
  { args: ['check', broken], code: 78, holds: { ok: false, problems: [{ column: 12 }, { line: 2, column: 33 }, {}] } },
  { args: ['plan', demoConfig], code: 0, holds: { ok: true } },
  { args: ['plan', slow], code: 1, holds: { ok: false } },
  { args: ['plan', broken], code: 78, holds: { ok: false } },
  { args: ['models', 'list', '-c', demoConfig], code: 0, holds: { models: [{ state: 'ready' }, { state: 'ready' }] } },
  { args: ['models', 'show', 'pump-anomaly', '-c', demoConfig], code: 0, holds: { name: 'pump-anomaly', version: 1 } },
  { args: ['models', 'verify', 'fill-weight', '-c', demoConfig], code: 0, holds: { models: [{ ok: true }] } },
  { args: ['models', 'verify', '-c', '/nowhere.yaml'], code: 78, holds: { ok: false, problems: [{ line: 1 }] } },
  { args: ['models', 'show', 'none', '-c', demoConfig], code: 1, holds: { ok: false, code: 'model-absent' } },
  { args: ['status', '--url', nowhere], code: 1, holds: { ok: false, code: 'agent-not-reached' } },
  { args: ['outbox', 'stats', '-c', slow], code: 1, holds: { ok: false, code: 'outbox-unavailable' } },
];

describe('with --json there is one document on standard output and nothing else, for any result', () => {
  test.each(documents)('andon $args --json', async ({ args, code, holds }) => {
    const outcome = await andon(...args, '--json');
    expect(outcome).toMatchObject({ code, stderr: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject(holds);
  });
});

describe('a reader', () => {
  test('gets the help of each command, with code 0', async () => {
    const { stdout } = await andon('--help');
    for (const command of ['demo', 'run', 'check', 'plan', 'simulate', 'models', 'outbox', 'status', 'schema'])
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    expect(await andon('outbox', 'export', '--help')).toMatchObject({ code: 0, stderr: '' });
  });

  test('gets the schema, which is JSON', async () => {
    const { code, stdout } = await andon('schema');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', properties: { sources: {}, watches: {} } });
  });

  test('that closes the pipe early is not a failure', async () => {
    const { code, stdout, stderr } = await shell('andon schema | head -c 10');
    expect({ code, length: stdout.length, stderr }).toEqual({ code: 0, length: 10, stderr: '' });
  });

  test('of a plan that cannot be met learns the scan, with code 1', async () => {
    const { code, stdout } = await andon('plan', slow);
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('line') });
  });
});
