import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { seededRandom } from '../../src/plant/seeded-random.ts';

/** Path of a request that is hidden in the body of another. An answer to it names it. */
const HIDDEN = '/hidden-request';
const NEXT_REQUEST = 'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n';
const CONNECTIONS = 16;
const FAULTS_MAX = 20;

type FrontCase = {
  readonly kind: string;
  readonly bytes: string;
  /** True if no reading of the bytes is a valid request: only 4xx or a closed connection is right. */
  readonly isMalformed: boolean;
};

export type FrontReport = {
  readonly requests: number;
  /** Answers by status; `closed` if there was none. */
  readonly answers: Readonly<Record<string, number>>;
  /** Answers to hidden requests, errors of the server, and malformed requests that were accepted. */
  readonly faults: readonly string[];
};

/**
 * Sends malformed and ambiguous requests to an endpoint, each on a connection of its own.
 *
 * @param headers Of a login, so that bodies are read.
 */
export async function fuzzFront(url: string, headers: string, seed: number, requests: number): Promise<FrontReport> {
  const cases = new FrontCases(seed, headers);
  const answers: Record<string, number> = {};
  const faults: string[] = [];
  let left = requests;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const one = cases.next();
      const text = await exchange(url, one.bytes);
      const statuses = statusesOf(text);
      const first = statuses[0] ?? 'closed';
      answers[first] = (answers[first] ?? 0) + 1;
      const fault = faultOf(one, text, statuses);
      if (fault !== undefined && faults.length < FAULTS_MAX)
        faults.push(`${one.kind}: ${fault}: ${JSON.stringify(one.bytes.slice(0, 600))}`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { requests, answers, faults };
}

/** Sends two requests on one connection, so that the fuzz proves that it would find the answer to the second. */
export async function answersHidden(url: string, headers: string): Promise<boolean> {
  const first = 'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
  return (await exchange(url, first + hiddenRequest(headers))).includes(HIDDEN);
}

function hiddenRequest(headers: string): string {
  return `GET ${HIDDEN} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers}\r\n\r\n`;
}

function faultOf({ isMalformed }: FrontCase, text: string, statuses: readonly string[]): string | undefined {
  if (text.includes(HIDDEN)) return 'the hidden request was answered';
  if (statuses.some((status) => status.startsWith('5'))) return `answered with ${statuses.join(', ')}`;
  if (isMalformed && statuses.some((status) => !status.startsWith('4'))) return `accepted with ${statuses.join(', ')}`;
  return undefined;
}

function statusesOf(text: string): readonly string[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status = '']) => status);
}

/** After the first answer, a last request makes the server close a connection that is still open. */
function exchange(url: string, bytes: string): Promise<string> {
  const { protocol, hostname, port } = new URL(url);
  const to = { host: hostname, port: Number(port), rejectUnauthorized: false };
  return new Promise((resolve) => {
    const write = (): unknown => socket.write(bytes, 'latin1');
    const socket = protocol === 'https:' ? connectTls(to, write) : connect(to, write);
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      if (received === '') socket.write(NEXT_REQUEST);
      received += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

/** Draws cases from a seed: the same seed gives the same cases. */
class FrontCases {
  readonly #random: () => number;
  readonly #headers: string;
  readonly #hidden: string;

  constructor(seed: number, headers: string) {
    this.#random = seededRandom(seed);
    this.#headers = headers;
    this.#hidden = hiddenRequest(headers);
  }

  next(): FrontCase {
    return this.#pick([
      () => this.#lengthAndChunks(),
      () => this.#chunksAndLength(),
      () => this.#lengths(),
      () => this.#chunks(),
      () => this.#lines(),
      () => this.#noise(),
    ])();
  }

  /** The length includes the hidden request; the chunks end before it. */
  #lengthAndChunks(): FrontCase {
    const body = `0\r\n\r\n${this.#hidden}`;
    const coding = this.#pick([
      'Transfer-Encoding: chunked',
      'transfer-encoding:chunked',
      'Transfer-Encoding : chunked',
      'Transfer-Encoding: xchunked',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding: identity, chunked',
      'Transfer-Encoding:\tchunked',
      'Transfer-Encoding: "chunked"',
      'Transfer-Encoding: chunked;q=1',
      'Transfer-Encoding: \x0bchunked',
      'Transfer-Encoding: chunked\x00',
      'Transfer-Encoding:\r\n chunked',
      'Transfer_Encoding: chunked',
      'X: x\nTransfer-Encoding: chunked',
      'X: x\rTransfer-Encoding: chunked',
      ' Transfer-Encoding: chunked',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
      'Connection: transfer-encoding\r\nTransfer-Encoding: chunked',
    ]);
    const lines = this.#shuffled([`Content-Length: ${body.length}`, coding]);
    return this.#post('length and chunks', lines, body, false);
  }

  /** The chunks include the hidden request; the length ends before it. */
  #chunksAndLength(): FrontCase {
    const size = this.#hidden.length.toString(16);
    const body = `${size}\r\n${this.#hidden}\r\n0\r\n\r\n`;
    const coding = this.#pick(['chunked', 'CHUNKED', ' chunked ', 'identity, chunked', 'xchunked', 'chunked, chunked']);
    const lines = this.#shuffled([`Content-Length: ${size.length + 2}`, `Transfer-Encoding: ${coding}`]);
    return this.#post('chunks and length', lines, body, true);
  }

  /** Lengths that are wrong, or of which one ends before the hidden request. */
  #lengths(): FrontCase {
    const [short, long] = ['2', String(2 + this.#hidden.length)];
    const lines = this.#pick([
      [`Content-Length: ${short}`, `Content-Length: ${long}`],
      [`Content-Length: ${short}`, `content-length: ${short}`],
      [`Content-Length: ${short}, ${long}`],
      [`Content-Length: ${short} ${long}`],
      [`Content-Length: +${short}`],
      [`Content-Length: -${short}`],
      [`Content-Length: 0x${short}`],
      [`Content-Length: ${short}.0`],
      [`Content-Length: ${short}\r\n ${long}`],
      [`Content-Length : ${short}`],
      ['Content-Length: 99999999999999999999'],
      ['Content-Length: '],
    ]);
    return this.#post('lengths', this.#shuffled(lines), `{}${this.#hidden}`, true);
  }

  #chunks(): FrontCase {
    const end = this.#pick(['\r\n', '\n', '\r']);
    const size = this.#pick(['zz', '-2', '+2', '0x2', '2 2', 'FFFFFFFFFFFFFFFFF', '', '2;x\n']);
    const body = this.#pick([
      `${size}\r\n{}\r\n0\r\n\r\n${this.#hidden}`,
      `2\r\n{}XX0\r\n\r\n${this.#hidden}`,
      `2\n{}\n0\n\n${this.#hidden}`,
      `2${end === '\r\n' ? '\n' : end}{}\r\n0\r\n\r\n${this.#hidden}`,
    ]);
    return this.#post('chunks', ['Transfer-Encoding: chunked'], body, true);
  }

  /** A request line or a header that is not allowed. */
  #lines(): FrontCase {
    const bytes = this.#pick([
      `GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
      `GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n${'x: a\r\n'.repeat(5_000)}\r\n`,
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`,
      'GET /healthz HTTP/1.1\r\n\r\n',
      'GET /healthz HTTP/9.9\r\nhost: 127.0.0.1\r\n\r\n',
      'GET /healthz HTTP/1.1\nhost: 127.0.0.1\n\n',
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\x00b\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx y: a\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n: a\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nnonsense\r\n\r\n',
      'GET  HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n',
      'G@T /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'\x00'.repeat(64)}\r\n\r\n`,
    ]);
    return { kind: 'lines', bytes, isMalformed: true };
  }

  /** A sound request with random bytes in its head. */
  #noise(): FrontCase {
    const { bytes } = this.#post('noise', ['Content-Length: 2'], '{}', false);
    const changed = bytes.split('');
    for (let count = 1 + this.#below(6); count > 0; count -= 1)
      changed[this.#below(changed.length - 6)] = String.fromCharCode(this.#below(256));
    return { kind: 'noise', bytes: `${changed.join('')}\r\n\r\n`, isMalformed: false };
  }

  #post(kind: string, lines: readonly string[], body: string, isMalformed: boolean): FrontCase {
    const head = ['POST /api/v1/logout HTTP/1.1', 'Host: 127.0.0.1', 'Content-Type: application/json', this.#headers];
    return { kind, bytes: `${[...head, ...lines].join('\r\n')}\r\n\r\n${body}`, isMalformed };
  }

  #shuffled(lines: readonly string[]): readonly string[] {
    return this.#below(2) === 0 ? lines : lines.toReversed();
  }

  #pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.#below(items.length)] ?? items[0];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
