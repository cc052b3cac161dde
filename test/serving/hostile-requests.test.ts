import { afterAll, beforeAll, expect, test } from 'vitest';
import { answersHidden, fuzzFront } from '../support/front-fuzz.ts';
import { describeWith } from '../support/programs.ts';
import { schemathesis } from '../support/schemathesis.ts';
import { Daemon } from '../support/serving-daemon.ts';

const TOKEN = 'token-of-an-engineer-of-models';
/* The model server of a real agent. test/serving/v2 has the fuzz of its tensors. */
let daemon: Daemon;
let url: string;

beforeAll(async () => {
  const http = { token: { env: 'ANDON_TEST_TOKEN' }, adminToken: { env: 'ANDON_TEST_ADMIN' } };
  daemon = await Daemon.start(
    { http, serving: { requestTimeout: '1s' } },
    { ANDON_TEST_TOKEN: 'token-of-an-operator', ANDON_TEST_ADMIN: TOKEN },
  );
  url = await daemon.agent.modelServerUrl();
});
afterAll(() => daemon[Symbol.asyncDispose]());

test('malformed and ambiguous requests are refused, and none is answered twice', async () => {
  const login = `Authorization: Bearer ${TOKEN}`;
  expect(await answersHidden(url, login)).toBe(true);
  const report = await fuzzFront(url, login, 2, 300);
  expect(report.faults).toEqual([]);
  expect(report.answers['400']).toBeGreaterThan(100);
  expect((await fetch(`${url}/v2/health/live`)).status).toBe(200);
});

describeWith(['schemathesis'], 'the model API', () => {
  test('is as its openapi.json describes it', { timeout: 600_000 }, async () => {
    const amount = ['--phases', 'fuzzing', '--max-examples', '3'];
    const report = await schemathesis(`${url}/openapi.json`, TOKEN, amount, daemon.folder.path);
    expect(report).toMatch(/Tested: 2\d\n/);
    expect(report).toMatch(/No issues found/);
    expect(daemon.agent.stderr).toBe('');
  });
});
