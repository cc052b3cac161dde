import * as z from 'zod';
import { byteSize, configObject, duration, secretReference } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { type MqttConnectionOptions, STRING_BYTES_MAX } from './mqtt-client-options.ts';

const schemes: ReadonlySet<string> = new Set(['mqtt:', 'mqtts:', 'ws:', 'wss:']);

/** One level of a topic. */
export const topicLevel = z.string().regex(/^[^/+#\p{Cc}]+$/u, { error: 'expected a name without /, + and #' });

/** A topic or client id. @see MQTT 3.1.1, section 1.5.3: the length of a string counts its UTF-8 bytes. */
export const mqttString = z
  .string()
  .min(1)
  .max(STRING_BYTES_MAX, { abort: true })
  .refine((text) => Buffer.byteLength(text) <= STRING_BYTES_MAX, {
    error: `must have ${STRING_BYTES_MAX} bytes or less in UTF-8`,
  });

/** Fields of every connection to a broker. Each section adds them to its own object. */
export const mqttFields = {
  url: z
    .string()
    .superRefine(checkUrl)
    .describe('URL of the broker: mqtt://host:1883, mqtts://host:8883, ws://host:8083/mqtt or wss://host/mqtt'),
  clientId: mqttString.optional().describe('MQTT client id, unique on the broker. Default: a random id at each start'),
  protocolVersion: z
    .literal(['auto', '3.1.1', '5', 5], { error: 'expected auto, 3.1.1 or 5' })
    .default('auto')
    .describe('MQTT version. auto tries 5 first and falls back to 3.1.1. Only version 5 reports refused messages'),
  username: z.string().min(1).optional().describe('User name for the broker'),
  password: secretReference.optional().describe('Password for the broker: { env: NAME } or { file: PATH }'),
  tls: tlsSchema('the broker').prefault({}).describe('Certificates for mqtts and wss'),
  cleanSession: z
    .boolean()
    .default(true)
    .describe('false: the broker keeps subscriptions and messages while the agent is disconnected; requires clientId'),
  sessionExpiry: duration(
    'How long the broker keeps the session of a disconnected agent. MQTT 5 only; with 3.1.1 the broker decides',
  ).prefault('7d'),
  keepalive: duration(
    'Keep-alive interval, in whole seconds. The connection is closed if the broker is silent for 1.5 times this',
    {
      minMs: 1000,
      maxMs: 65_535_000,
    },
  ).prefault('15s'),
  connectTimeout: duration('Longest wait for the broker to accept the login', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
  reconnectMin: duration('Wait before the first reconnection attempt; it doubles with each further attempt', {
    minMs: 10,
    maxMs: 3_600_000,
  }).prefault('500ms'),
  reconnectMax: duration('Longest wait between reconnection attempts', { minMs: 10, maxMs: 3_600_000 }).prefault('30s'),
  maxMessageSize: byteSize('Largest message accepted; a larger one closes the connection').prefault('1MB'),
} as const;

const mqttConfig = configObject(mqttFields);
/** Parsed `mqttFields`. */
export type MqttConfig = z.infer<typeof mqttConfig>;

/** Refinement for a schema with `mqttFields`: checks the rules over several fields. */
export function checkMqttConfig(
  config: MqttConfig,
  context: { addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string; input: unknown }): void },
): void {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message, input: config });
  if (!config.cleanSession && config.clientId === undefined)
    issue('clientId', 'cleanSession: false requires a clientId, which identifies the session');
  if (config.password !== undefined && config.username === undefined)
    issue('password', 'a password requires a username');
  if (config.reconnectMaxMs < config.reconnectMinMs) issue('reconnectMax', 'must not be shorter than reconnectMin');
}

/** @param owner Component that owns the connection, its default client id, and its will. */
export function mqttConnectionOptions(
  config: MqttConfig,
  owner: { readonly name: string; readonly clientId: string } & Partial<
    Pick<MqttConnectionOptions, 'will' | 'willAtClose'>
  >,
): MqttConnectionOptions {
  const { ca, cert, key } = config.tls;
  return {
    name: owner.name,
    url: config.url,
    clientId: config.clientId ?? owner.clientId,
    isClientIdChosen: config.clientId !== undefined,
    protocolVersion: config.protocolVersion === 'auto' ? 'auto' : config.protocolVersion === '3.1.1' ? 4 : 5,
    keepaliveMs: config.keepaliveMs,
    username: config.username,
    password: config.password,
    tls: { ca, cert, key },
    clean: config.cleanSession,
    sessionExpiryMs: config.sessionExpiryMs,
    will: owner.will,
    willAtClose: owner.willAtClose ?? false,
    connectTimeoutMs: config.connectTimeoutMs,
    reconnectMinMs: config.reconnectMinMs,
    reconnectMaxMs: config.reconnectMaxMs,
    maxMessageSizeBytes: config.maxMessageSizeBytes,
  };
}

/** Returns a unique client id: `andon-`, the owner, and 16 hexadecimal digits. */
export function randomClientId(random: () => number, owner = ''): string {
  const digits = Array.from({ length: 16 }, () => Math.floor(random() * 16).toString(16)).join('');
  return ['andon', ...owner.split(/[^A-Za-z0-9]+/).filter(Boolean), digits].join('-');
}

function checkUrl(text: string, context: z.RefinementCtx): void {
  const url = URL.parse(text);
  const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
  if (url === null || !schemes.has(url.protocol) || url.hostname === '')
    return issue('expected mqtt://host:port, mqtts://…, ws://… or wss://…');
  if (url.username !== '' || url.password !== '')
    issue('user and password must not be in the url: use username and password');
  if (!url.protocol.startsWith('ws') && url.pathname !== '' && url.pathname !== '/')
    issue('must not have a path: only ws:// and wss:// have one');
}
