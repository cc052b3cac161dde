import type { IClientOptions } from 'mqtt';
import { readSecret, type SecretReference } from '../../platform/config-fields.ts';
import type { TlsFiles } from '../../platform/tls-files.ts';

/** Message that the broker publishes if the connection ends without a DISCONNECT. */
export type MqttWill = {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  /** Time after which the broker no longer delivers it. MQTT 5 only. Default: never. */
  readonly expiryMs?: number;
};

/** Longest string of a packet, in UTF-8. @see MQTT 3.1.1, section 1.5.3. */
export const STRING_BYTES_MAX = 65_535;

/** 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type MqttProtocolVersion = 4 | 5;

export type MqttConnectionOptions = {
  /** Component that owns the connection, as in health and metrics: `source/cell`. */
  readonly name: string;
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, without user and password. */
  readonly url: string;
  readonly clientId: string;
  /** True if a user chose the client id, so that another client may have it too. */
  readonly isClientIdChosen: boolean;
  /** 'auto' starts with MQTT 5 and falls back to 3.1.1 if the broker does not support it. */
  readonly protocolVersion: MqttProtocolVersion | 'auto';
  /** The connection ends after 1.5 times this without a packet. Sent in whole seconds, at least one. */
  readonly keepaliveMs: number;
  readonly username: string | undefined;
  /** Read again for each attempt, so that a changed password applies without a restart. */
  readonly password: SecretReference | undefined;
  /** Read again for each attempt, so that a renewed certificate applies without a restart. */
  readonly tls: TlsFiles;
  /** False: the broker keeps subscriptions and QoS 1 messages while the client is disconnected. */
  readonly clean: boolean;
  /** How long the broker keeps the session of a disconnected client. MQTT 5 only; with 3.1.1 the broker decides. */
  readonly sessionExpiryMs: number;
  /** A function is called for each attempt. */
  readonly will: MqttWill | (() => MqttWill) | undefined;
  /** True: the broker publishes the will also after a regular end. MQTT 5 only. */
  readonly willAtClose: boolean;
  /** Applies to the login, and again to the answers to the subscriptions. */
  readonly connectTimeoutMs: number;
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** Largest incoming packet (topic and payload). */
  readonly maxMessageSizeBytes: number;
};

/** QoS 1 messages that the broker may send ahead of their acknowledgement; a broker of MQTT 5 is told this limit. */
export const RECEIVE_MAX = 1000;
/** The largest value means that the session never expires. */
const SESSION_EXPIRY_SECONDS_MAX = 0xff_ff_ff_fe;

/**
 * Options of mqtt.js for one attempt.
 * @throws {OperatingError} 'secret-missing'.
 */
export function mqttClientOptions(options: MqttConnectionOptions, version: MqttProtocolVersion): IClientOptions {
  return {
    clientId: options.clientId,
    clean: options.clean,
    protocolVersion: version,
    keepalive: Math.min(Math.max(Math.ceil(options.keepaliveMs / 1000), 1), 65_535),
    connectTimeout: options.connectTimeoutMs,
    // A client lives for one connection. MqttConnection reconnects and subscribes; the outbox resends.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    log: () => undefined,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: readSecret(options.password) }),
    ...willOf(options, version),
    ...(version === 5 ? { properties: propertiesOf(options) } : {}),
  };
}

function propertiesOf(options: MqttConnectionOptions): NonNullable<IClientOptions['properties']> {
  const sessionExpiryInterval = Math.min(Math.ceil(options.sessionExpiryMs / 1000), SESSION_EXPIRY_SECONDS_MAX);
  return {
    maximumPacketSize: options.maxMessageSizeBytes,
    receiveMaximum: RECEIVE_MAX,
    ...(options.clean ? {} : { sessionExpiryInterval }),
  };
}

/** Returns the message expiry interval, which MQTT 3.1.1 does not have. */
export function expiryOf(
  expiryMs: number | undefined,
  version: MqttProtocolVersion,
): { readonly properties?: { readonly messageExpiryInterval: number } } {
  if (expiryMs === undefined || version !== 5) return {};
  return { properties: { messageExpiryInterval: Math.ceil(expiryMs / 1000) } };
}

function willOf({ will }: MqttConnectionOptions, version: MqttProtocolVersion): IClientOptions {
  if (will === undefined) return {};
  const { payload, expiryMs, ...rest } = typeof will === 'function' ? will() : will;
  return { will: { ...rest, payload: Buffer.from(payload), ...expiryOf(expiryMs, version) } };
}
