import { expect, test } from 'vitest';
import { answersHidden, fuzzFront } from '../support/front-fuzz.ts';
import { AccessServer, tokenOf } from './access-server.ts';

test('malformed and ambiguous requests are refused, and none is answered twice', { timeout: 300_000 }, async () => {
  await using server = new AccessServer();
  await server.writeUsers();
  const url = await server.start({ users: true, requestTimeout: '1s' });
  const login = `Authorization: Bearer ${tokenOf('viewer')}`;
  expect(await answersHidden(url, login)).toBe(true);
  const report = await fuzzFront(url, login, 1, 600);
  expect(report.faults).toEqual([]);
  expect(report.answers['400']).toBeGreaterThan(200);
  expect((await fetch(`${url}/open`)).status).toBe(200);
});
