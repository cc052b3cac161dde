import { Agent, request } from 'undici';
import { expect, test } from 'vitest';
import { TestCertificates } from '../support/broker-certificates.ts';
import { answersHidden, fuzzFront } from '../support/front-fuzz.ts';
import { describeWith } from '../support/programs.ts';
import { metricValue } from '../support/test-deps.ts';
import { fuzzTls } from '../support/tls-fuzz.ts';
import { AccessServer, tokenOf } from './access-server.ts';

describeWith(['openssl'], 'an endpoint with TLS', () => {
  test('closes what is not a handshake, and answers others meanwhile and after it', async () => {
    await using certificates = TestCertificates.make();
    await using server = new AccessServer();
    await server.writeUsers();
    const { cert, key } = certificates.server;
    const url = await server.start({ users: true, requestTimeout: '1s', maxConnections: 400, tls: { cert, key } });
    const { connections, answers } = await fuzzTls(url, 1, 100);
    expect(Object.values(connections)).toEqual(Array.from({ length: 10 }, () => 10));
    expect(answers).toBeGreaterThan(0);
    await expect.poll(() => metricValue(server.deps, 'andon_http_connections')).toBe(0);
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    const { statusCode, body } = await request(`${url}/open`, { dispatcher });
    expect({ statusCode, body: await body.json() }).toEqual({ statusCode: 200, body: { caller: null } });
    await dispatcher.close();
  });

  test('refuses malformed and ambiguous requests, and answers none twice', async () => {
    await using certificates = TestCertificates.make();
    await using server = new AccessServer();
    await server.writeUsers();
    const { cert, key } = certificates.server;
    const url = await server.start({ users: true, requestTimeout: '1s', tls: { cert, key } });
    const login = `Authorization: Bearer ${tokenOf('viewer')}`;
    expect(await answersHidden(url, login)).toBe(true);
    const report = await fuzzFront(url, login, 1, 200);
    expect(report.faults).toEqual([]);
    expect(report.answers['400']).toBeGreaterThan(60);
  });
});
