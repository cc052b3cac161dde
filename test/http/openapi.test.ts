import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Role, roles } from '../../src/web/access/roles.ts';
import { tokenDigest } from '../../src/web/access/users-file.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { describeWith } from '../support/programs.ts';
import { schemathesis } from '../support/schemathesis.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

describe('the API of an agent with users', () => {
  const stack = new AsyncDisposableStack();
  let folder: AgentFolder;
  let agent: AgentProcess;

  beforeAll(async () => {
    const plant = stack.use(await CrashPlant.start());
    folder = stack.use(new AgentFolder());
    const tokens = Object.fromEntries(roles.map((role) => [role, { role, sha256: tokenDigest(tokenOf(role)) }]));
    writeFileSync(join(folder.path, 'users.yaml'), stringify({ users: {}, tokens }), { mode: 0o600 });
    folder.configure({
      ...plant.sections('500ms'),
      watches: { level: { model: 'echo', tags: ['level'], window: { step: '500ms', maxAge: '10s' } } },
      http: { listen: '127.0.0.1:0', users: 'users.yaml' },
    });
    agent = stack.use(await AgentProcess.start(folder.configFile));
  });
  afterAll(() => stack.disposeAsync());

  test('is closed without a login, except for the state of the box and logins', async () => {
    const headers = { authorization: `Bearer ${tokenOf('viewer')}` };
    const description = await fetch(`${agent.httpUrl}/api/v1/openapi.json`, { headers });
    const { paths } = (await description.json()) as { readonly paths: Readonly<Record<string, object>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
    );
    expect(operations.length).toBeGreaterThan(40);
    const answers = await Promise.all(
      operations.map(async ({ path, method }) => {
        const { status } = await fetch(agent.httpUrl + path.replaceAll(/\{\w+\}/g, 'x'), { method });
        return { path: `${method} ${path}`, status };
      }),
    );
    const open = answers.flatMap(({ path, status }) => (status === 401 ? [] : [path]));
    expect(open.toSorted()).toEqual([
      'GET /api/v1/session',
      'GET /healthz',
      'GET /readyz',
      'POST /api/v1/login',
      'POST /api/v1/logout',
    ]);
  });

  /* Requests that Schemathesis makes from openapi.json. */
  describeWith(['schemathesis'], 'is as openapi.json describes it', () => {
    test.each<readonly [Role, readonly string[]]>([
      ['viewer', ['--phases', 'fuzzing', '--max-examples', '2']],
      ['operator', ['--phases', 'fuzzing', '--max-examples', '2']],
      ['engineer', ['--phases', 'fuzzing', '--max-examples', '2']],
      ['admin', ['--phases', 'coverage,fuzzing', '--max-examples', '3']],
    ])('for the role %s', { timeout: 600_000 }, async (role, amount) => {
      const report = await schemathesis(`${agent.httpUrl}/api/v1/openapi.json`, tokenOf(role), amount, folder.path);
      expect(report).toMatch(/Tested: [3-9]\d\n/);
      expect(report).toMatch(/No issues found/);
      expect(agent.stderr).toBe('');
    });
  });
});

function tokenOf(role: Role): string {
  return `token-of-the-${role}`;
}
