import { describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/config-schema.ts';
import { modelServerConfig } from '../../src/serving/serving-config.ts';

function serverConfig(sections: object) {
  return modelServerConfig(configSchema.parse({ agent: { id: 'edge-01' }, ...sections }));
}

describe('the settings of the model server', () => {
  test.each([
    ['by default', {}, undefined],
    ['with only an admin token', { http: { adminToken: { env: 'A' } } }, undefined],
    ['with section serving', { serving: {} }, '127.0.0.1:8081'],
    ['with an address of its own', { serving: { listen: '[::1]:9000' } }, '[::1]:9000'],
    ['with models.serve', { models: { serve: 'all' } }, '127.0.0.1:8081'],
    ['with a key that moved from http', { http: { maxBody: '8MB' } }, '127.0.0.1:8081'],
  ])('%s: it listens on the expected address, or does not run', (_title, sections, listen) => {
    expect(serverConfig(sections)?.listen).toBe(listen);
  });

  test('are those of section http, unless section serving has its own', () => {
    const http = {
      token: { env: 'T' },
      adminToken: { env: 'A' },
      requestTimeout: '30s',
      maxConnections: 500,
    };
    const inherited = { token: { env: 'T' }, adminToken: { env: 'A' }, requestTimeoutMs: 30_000, maxConnections: 500 };
    expect(serverConfig({ http, serving: {} })).toMatchObject({ ...inherited, maxBodyBytes: 4e6 });
    const serving = {
      token: { env: 'ST' },
      adminToken: { env: 'SA' },
      requestTimeout: '1s',
      maxConnections: 7,
      maxBody: '1MB',
    };
    expect(serverConfig({ http, serving })).toMatchObject({
      token: { env: 'ST' },
      adminToken: { env: 'SA' },
      requestTimeoutMs: 1_000,
      maxConnections: 7,
      maxBodyBytes: 1e6,
    });
  });

  test('a key that moved from section http has its effect', () => {
    const http = { maxBody: '8MB', generation: { maxConcurrent: 2 } };
    expect(serverConfig({ http, serving: {} })).toMatchObject({
      maxBodyBytes: 8e6,
      generation: { maxConcurrent: 2, maxTokens: 1024 },
    });
  });
});
