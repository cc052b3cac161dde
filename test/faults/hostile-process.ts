import { connect } from 'node:net';

/*
 * Clients that want to keep others out of an endpoint: idle, half a header, a body of one byte a second, and connections that
 * come back the moment they are closed. A process of its own, so that it does not slow down what a test measures.
 * Arguments: number of clients, and the ports that they share. Prints `ready` when each has connected, and at the end the
 * number of connections.
 */
const [count = 0, ...ports] = process.argv.slice(2).map(Number);
const COME_BACK_MS = 1_000;
const BYTE_EVERY_MS = 1_000;
const HALF_HEADER = 'GET /healthz HTTP/1.1\r\nhost: 127.';
const SLOW_BODY =
  'POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{';
const kinds = [
  { first: '', slowly: false, comeBackMs: COME_BACK_MS },
  { first: HALF_HEADER, slowly: false, comeBackMs: COME_BACK_MS },
  { first: SLOW_BODY, slowly: true, comeBackMs: COME_BACK_MS },
  { first: '', slowly: false, comeBackMs: 0 },
] as const;

const connected = new Set<number>();
let connections = 0;

for (let index = 0; index < count; index += 1) open(index);
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ connections }));
  process.exit(0);
});

/** Client `index` connects, from one of 16 addresses: one alone has half of the places at most. */
function open(index: number): void {
  const kind = kinds[index % kinds.length] ?? kinds[0];
  const port = ports[Math.floor(index / kinds.length) % ports.length] ?? 0;
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (index % 16)}` });
  let drip: NodeJS.Timeout | undefined;
  socket.on('connect', () => {
    connections += 1;
    if (connected.size < count && connected.add(index).size === count) console.log('ready');
    socket.write(kind.first);
    if (kind.slowly) drip = setInterval(() => socket.write(' '), BYTE_EVERY_MS);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearInterval(drip);
    setTimeout(() => open(index), kind.comeBackMs);
  });
  socket.resume();
}
