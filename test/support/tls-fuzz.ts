import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { seededRandom } from '../../src/plant/seeded-random.ts';

/** Connections at a time. Many wait until the endpoint closes them. */
const CONNECTIONS = 100;
const HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
const REQUEST = 'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n';

export type TlsFuzzReport = {
  /** Connections by what they sent. Each was closed by the server, or by the client after its answer. */
  readonly connections: Readonly<Record<string, number>>;
  /** Answers to requests on connections whose TLS was correct. */
  readonly answers: number;
};

/**
 * Sends malformed and incomplete TLS to an endpoint, and what is correct but unusual. Resolves when each connection is closed,
 * so the endpoint must close connections that never complete a handshake.
 */
export async function fuzzTls(url: string, seed: number, connections: number): Promise<TlsFuzzReport> {
  const random = seededRandom(seed);
  const port = Number(new URL(url).port);
  const hello = await clientHello();
  const kinds = {
    noise: () => sendRaw(port, noise(random)),
    'changed hello': () => sendRaw(port, changed(hello, random)),
    'half hello': () => sendRaw(port, hello.subarray(0, 1 + Math.floor(random() * (hello.length - 1)))),
    'hello alone': () => sendRaw(port, hello),
    'hello twice': () => sendRaw(port, Buffer.concat([hello, hello])),
    'hello and noise': () => sendRaw(port, Buffer.concat([hello, noise(random)])),
    'clear text': () => sendRaw(port, Buffer.from(REQUEST)),
    'noise after the handshake': () => spoil(port, noise(random)),
    'application data that nothing encrypted': () =>
      spoil(port, Buffer.concat([Buffer.of(23, 3, 3, 0, 32), noise(random).subarray(0, 32)])),
    renegotiation: () => renegotiate(port, 1 + Math.floor(random() * 5)),
  };
  const names = Object.keys(kinds) as (keyof typeof kinds)[];
  const counts: Record<string, number> = {};
  let answers = 0;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < connections) {
      const name = names[next % names.length] ?? 'noise';
      next += 1;
      if (await kinds[name]()) answers += 1;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { connections: counts, answers };
}

/** Returns the first record of a TLS client of Node. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [record] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return record;
}

function noise(random: () => number): Buffer {
  const bytes = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 600) }, () => Math.floor(random() * 256)));
  // Half of them look like a handshake.
  if (random() < 0.5) bytes.set([HANDSHAKE, 3, 1].slice(0, bytes.length));
  return bytes;
}

/** Changes up to eight bytes, also the lengths of the record and of the message. */
function changed(hello: Buffer, random: () => number): Buffer {
  const bytes = Buffer.from(hello);
  const from = random() < 0.3 ? 0 : RECORD_HEADER_BYTES;
  for (let change = 0; change <= random() * 8; change += 1)
    bytes[from + Math.floor(random() * (bytes.length - from))] = Math.floor(random() * 256);
  return bytes;
}

/** @returns False: nothing that was sent is a request over TLS. */
async function sendRaw(port: number, bytes: Buffer): Promise<boolean> {
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  socket.on('error', () => undefined).resume();
  await closed(socket);
  return false;
}

/** Completes the handshake, then writes bytes below TLS. */
async function spoil(port: number, bytes: Buffer): Promise<boolean> {
  const raw = connect(port, '127.0.0.1');
  const secure = connectTls({ socket: raw, rejectUnauthorized: false }, () => raw.write(bytes));
  for (const socket of [raw, secure]) socket.on('error', () => undefined);
  secure.on('end', () => secure.destroy()).resume();
  await closed(raw);
  return false;
}

/** TLS 1.2 alone has renegotiation. @returns True if the request after it was answered. */
async function renegotiate(port: number, times: number): Promise<boolean> {
  const secure: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
  let text = '';
  secure.on('error', () => undefined).on('data', (data) => (text += data.toString('latin1')));
  // In the middle of a renegotiation, it cannot write its own end, and would stay open for ever.
  secure.on('end', () => secure.destroy());
  const again = (left: number): void => {
    if (left === 0) secure.write(REQUEST);
    else
      secure.renegotiate({ rejectUnauthorized: false }, (error) =>
        error === null ? again(left - 1) : secure.destroy(),
      );
  };
  secure.on('secureConnect', () => again(times));
  await closed(secure);
  return text.startsWith('HTTP/1.1 ');
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on('close', () => resolve()));
}
