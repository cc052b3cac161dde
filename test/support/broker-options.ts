import type { MqttConnectionOptions } from '../../src/protocols/mqtt/mqtt-client-options.ts';

/** Connection options for a test: quick to reconnect, with the given limits. */
export function brokerOptions(url: string, overrides: Partial<MqttConnectionOptions> = {}): MqttConnectionOptions {
  return {
    name: 'test',
    url,
    clientId: `test-${crypto.randomUUID()}`,
    isClientIdChosen: false,
    protocolVersion: 'auto',
    keepaliveMs: 15_000,
    username: undefined,
    password: undefined,
    tls: { ca: undefined, cert: undefined, key: undefined },
    clean: true,
    sessionExpiryMs: 3_600_000,
    will: undefined,
    willAtClose: false,
    connectTimeoutMs: 5000,
    reconnectMinMs: 20,
    reconnectMaxMs: 100,
    maxMessageSizeBytes: 1_000_000,
    ...overrides,
  };
}
