import { readFileSync } from 'node:fs';
import type { IClientOptions } from 'mqtt';
import type { SecretReference } from './config-fields.ts';
import { readSecret } from './config-fields.ts';
import { errorMessage, OperatingError } from './errors.ts';

/** Published by the broker when the connection ends without a goodbye. */
export type MqttWill = {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1;
  readonly retain: boolean;
};

/** 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type MqttProtocolVersion = 4 | 5;

export type MqttConnectionOptions = {
  /** Component that owns the connection, as in health and metrics: `source/cell`. */
  readonly name: string;
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, without user and password. */
  readonly url: string;
  readonly clientId: string;
  /** 'auto' begins with MQTT 5 and falls back to 3.1.1 where the broker does not know it. */
  readonly protocolVersion: MqttProtocolVersion | 'auto';
  /** The broker is given up after 1.5 times this; sent in whole seconds, at least one. */
  readonly keepaliveMs: number;
  readonly username: string | undefined;
  /** Read anew for each attempt, so that a changed password is taken over without a restart. */
  readonly password: SecretReference | undefined;
  /** Paths of PEM files, read anew for each attempt. */
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
  /** False: the broker keeps subscriptions and QoS 1 messages while the client is away. */
  readonly clean: boolean;
  readonly will: MqttWill | undefined;
  /** For the login, and again for the answers to the subscriptions. */
  readonly connectTimeoutMs: number;
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
  /** Largest incoming packet (topic and payload). */
  readonly bytesPerMessageMax: number;
};

/** How long a broker keeps the session of a client that is away, MQTT 5; in 3.1.1 the broker decides. */
const SESSION_EXPIRY_SECONDS = 7 * 86_400;

/**
 * What mqtt.js needs for one attempt.
 * @throws {OperatingError} 'secret-missing', 'mqtt-unreachable' where a certificate can't be read.
 */
export function mqttClientOptions(options: MqttConnectionOptions, version: MqttProtocolVersion): IClientOptions {
  return {
    ...endpoint(options.url),
    clientId: options.clientId,
    clean: options.clean,
    protocolVersion: version,
    keepalive: Math.min(Math.max(Math.ceil(options.keepaliveMs / 1000), 1), 65_535),
    connectTimeout: options.connectTimeoutMs,
    // One client lives for one connection: waiting, resubscribing and sending again are decided by their owners.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    log: () => undefined,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: readSecret(options.password) }),
    ...(options.will === undefined ? {} : { will: { ...options.will, payload: Buffer.from(options.will.payload) } }),
    ...(version === 5 ? { properties: propertiesOf(options) } : {}),
    ...tlsFiles(options.tls),
    wsOptions: { maxPayload: options.bytesPerMessageMax + 5, perMessageDeflate: false },
  };
}

function endpoint(url: string): IClientOptions {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const scheme = protocol.slice(0, -1);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  switch (scheme) {
    case 'mqtt':
    case 'mqtts':
      return { protocol: scheme, host, port: port === '' ? (scheme === 'mqtts' ? 8883 : 1883) : Number(port) };
    case 'ws':
    case 'wss':
      // mqtt.js builds its own URL from the host, which needs the brackets of an IPv6 address.
      return {
        protocol: scheme,
        host: hostname,
        port: port === '' ? (scheme === 'wss' ? 443 : 80) : Number(port),
        path: `${pathname}${search}`,
      };
    default:
      throw new OperatingError('mqtt-unreachable', 'retry', `'${scheme}' is not a scheme of an MQTT broker`);
  }
}

function propertiesOf(options: MqttConnectionOptions): NonNullable<IClientOptions['properties']> {
  return {
    maximumPacketSize: options.bytesPerMessageMax,
    ...(options.clean ? {} : { sessionExpiryInterval: SESSION_EXPIRY_SECONDS }),
  };
}

function tlsFiles(tls: MqttConnectionOptions['tls']): IClientOptions {
  return {
    ...(tls.ca === undefined ? {} : { ca: readPem(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readPem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readPem(tls.key) }),
  };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new OperatingError('mqtt-unreachable', 'retry', `TLS file ${path}: ${errorMessage(error)}`, { cause: error });
  }
}
