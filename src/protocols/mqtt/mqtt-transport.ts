import { connect as connectTcp, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { createWebSocketStream, WebSocket } from 'ws';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { readTlsFiles } from '../../platform/tls-files.ts';
import { proxyFor } from '../http/proxy-environment.ts';
import type { MqttConnectionOptions } from './mqtt-client-options.ts';
import { mqttFailure } from './mqtt-errors.ts';

/** Largest fixed header of a packet: one byte for the type, four for the length. */
const HEADER_BYTES_MAX = 5;

/**
 * Connects to the broker over TCP, TLS or WebSocket. The stream may be written to immediately.
 * @throws {OperatingError} 'mqtt-unreachable' if a certificate cannot be read or used; 'secret-missing'.
 */
export function openTransport(options: MqttConnectionOptions): Duplex {
  const { protocol, hostname, port } = new URL(options.url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  switch (protocol) {
    case 'mqtt:':
      return connectTcp({ host, port: Number(port || 1883), noDelay: true });
    case 'mqtts:': {
      const servername = isIP(host) === 0 ? { servername: host } : {};
      return openTls(options.url, () =>
        connectTls({ host, port: Number(port || 8883), ...servername, ...readTlsFiles(options.tls) }).setNoDelay(true),
      );
    }
    case 'ws:':
    case 'wss:':
      return openTls(options.url, () => openWebSocket(options));
    default:
      throw mqttFailure('mqtt-unreachable', `'${protocol}' is not a scheme of an MQTT broker`);
  }
}

/** Through the proxy of HTTPS_PROXY or HTTP_PROXY, as a tunnel (CONNECT), also for ws://: many proxies forward no upgrade. */
function openWebSocket({ url, tls, maxMessageSizeBytes }: MqttConnectionOptions): Duplex {
  const files = readTlsFiles(tls);
  const proxy = proxyFor(url);
  // A proxy that does not answer would otherwise keep its connection after the deadline.
  const ended = new AbortController();
  const agent = proxy && new HttpsProxyAgent(proxy, { ...(files.ca && { ca: files.ca }), signal: ended.signal });
  const maxPayload = maxMessageSizeBytes + HEADER_BYTES_MAX;
  const socket = new WebSocket(url, ['mqtt'], {
    maxPayload,
    perMessageDeflate: false,
    ...files,
    ...(agent && { agent }),
  });
  return createWebSocketStream(socket).on('close', () => ended.abort());
}

/** Node parses certificates and keys before it connects, and throws if they do not fit. */
function openTls(url: string, open: () => Duplex): Duplex {
  try {
    return open();
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw mqttFailure('mqtt-unreachable', `${url}: ${errorMessage(error)}`, { cause: error });
  }
}
