import { readFileSync } from 'node:fs';
import type { IClientOptions } from 'mqtt';
import type { SecretReference } from '../../platform/config-fields.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';

/** Published by the broker when the connection ends without a goodbye. */
export type MqttWill = {
  readonly topic: string;
  readonly payload: string | Uint8Array;
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
  /** Paths of PEM files, or secrets with their text; read anew for each attempt, so that a renewed one is taken over. */
  readonly tls: {
    readonly ca: PemSource | undefined;
    readonly cert: PemSource | undefined;
    readonly key: PemSource | undefined;
  };
  /** False: the broker keeps subscriptions and QoS 1 messages while the client is away. */
  readonly clean: boolean;
  /** How long the broker keeps the session of a client that is away, with MQTT 5; in 3.1.1 the broker decides. */
  readonly sessionExpiryMs: number;
  /** A function is asked for each attempt. */
  readonly will: MqttWill | (() => MqttWill) | undefined;
  /** For the login, and again for the answers to the subscriptions. */
  readonly connectTimeoutMs: number;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** Largest incoming packet (topic and payload). */
  readonly maxMessageSizeBytes: number;
};

/** A PEM file by its path, or a secret that is the PEM text. */
type PemSource = string | SecretReference;

/** Messages that a broker of MQTT 5 may send ahead of their acknowledgement. */
export const RECEIVE_MAX = 1000;
/** The largest that MQTT 5 knows but one; the largest means for ever. */
const SESSION_EXPIRY_SECONDS_MAX = 0xff_ff_ff_fe;

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
    ...willOf(options),
    ...(version === 5 ? { properties: propertiesOf(options) } : {}),
    ...tlsFiles(options.tls),
    wsOptions: { maxPayload: options.maxMessageSizeBytes + 5, perMessageDeflate: false },
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
    maximumPacketSize: options.maxMessageSizeBytes,
    receiveMaximum: RECEIVE_MAX,
    ...(options.clean ? {} : { sessionExpiryInterval: sessionExpirySeconds(options.sessionExpiryMs) }),
  };
}

function sessionExpirySeconds(sessionExpiryMs: number): number {
  return Math.min(Math.ceil(sessionExpiryMs / 1000), SESSION_EXPIRY_SECONDS_MAX);
}

function willOf({ will }: MqttConnectionOptions): IClientOptions {
  if (will === undefined) return {};
  const { payload, ...rest } = typeof will === 'function' ? will() : will;
  return { will: { ...rest, payload: Buffer.from(payload) } };
}

function tlsFiles(tls: MqttConnectionOptions['tls']): IClientOptions {
  return {
    ...(tls.ca === undefined ? {} : { ca: readPem(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readPem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readPem(tls.key) }),
  };
}

function readPem(source: PemSource): Buffer {
  if (typeof source !== 'string') return Buffer.from(readSecret(source));
  try {
    return readFileSync(source);
  } catch (error) {
    throw new OperatingError('mqtt-unreachable', 'retry', `TLS file ${source}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
