import { deflateSync, gzipSync } from 'node:zlib';
import type { Tensor, TensorType } from '../../src/contracts/inference.ts';
import { type NamedTensor, type OipRequest, oipRequest } from './oip-client.ts';

/** A request as bytes on the wire. */
export type FuzzRequest = {
  readonly bytes: Buffer;
  /** True if it is framed correctly and must be answered; otherwise the connection may be closed. */
  readonly framed: boolean;
  /** True if the client disconnects once the answer has begun. */
  readonly leaves?: boolean;
};

/** Draws requests from a seed: the same seed gives the same requests. */
export class FuzzRequests {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): FuzzRequest {
    const kind = this.#below(100);
    if (kind < 25) return this.#sound();
    if (kind < 45) return this.#changedValue();
    if (kind < 60) return this.#changedBytes();
    if (kind < 70) return this.#lyingLengths();
    if (kind < 76) return this.#nested();
    if (kind < 82) return this.#compressed();
    if (kind < 87) return this.#raw();
    if (kind < 92) return this.#random();
    if (kind < 97) return this.#oddPath();
    if (kind < 98 || this.#below(20) > 0) return this.#brokenFrame();
    return this.#large();
  }

  #sound(): FuzzRequest {
    const { path, body, headers } = this.#soundRequest();
    return { ...framed(path, body, headers), leaves: path.endsWith('_stream') && this.#below(10) === 0 };
  }

  /** One value of a sound JSON request replaced by one that does not belong there. */
  #changedValue(): FuzzRequest {
    const { path, body, headers } = this.#soundRequest();
    const length = Number(headers['inference-header-content-length'] ?? body.length);
    const request = JSON.parse(Buffer.from(body).toString('utf8', 0, length)) as object;
    for (let count = this.#below(3); count >= 0; count -= 1) this.#replaceIn(request, this.#below(5));
    const header = Buffer.from(JSON.stringify(request));
    const binary = headers['inference-header-content-length'] === undefined ? {} : lengthHeader(header.length);
    return framed(path, Buffer.concat([header, body.subarray(length)]), { ...headers, ...binary });
  }

  #changedBytes(): FuzzRequest {
    const { path, body, headers } = this.#soundRequest();
    const bytes = Buffer.from(body);
    for (let count = this.#below(8); count >= 0; count -= 1) bytes[this.#below(bytes.length)] = this.#below(256);
    const cut = this.#below(4) === 0 ? this.#below(bytes.length) : bytes.length;
    return framed(path, bytes.subarray(0, cut), headers);
  }

  #lyingLengths(): FuzzRequest {
    const { path, body, headers } = this.#soundRequest();
    const lies = ['0', '1', '-1', '1e3', '99999999999999999999', String(this.#below(body.length + 10)), 'NaN', '0x10'];
    return framed(path, body, { ...headers, 'inference-header-content-length': this.#one(lies) });
  }

  #nested(): FuzzRequest {
    const depth = 1 + this.#below(20_000);
    const open = this.#one(['[', '{"a":', '[0,', '{"inputs":[', '{"parameters":{"a":']);
    const text = open.repeat(Math.min(depth, 60_000 / open.length));
    const starts = ['', '{"inputs":[{"data":', '{"input_ids":', '{"input_ids":[1],"parameters":'];
    return framed(this.#path(), Buffer.from(this.#one(starts) + text), {});
  }

  #compressed(): FuzzRequest {
    const { path, body, headers } = this.#soundRequest();
    const coding = this.#one(['gzip', 'deflate', 'br', 'gzip, gzip', 'identity', '']);
    const plain = this.#below(20) === 0 ? Buffer.alloc(1_200_000) : Buffer.from(body);
    const bytes = coding === 'deflate' ? deflateSync(plain) : gzipSync(plain);
    if (this.#below(3) === 0) bytes[this.#below(bytes.length)] = this.#below(256);
    return framed(path, bytes, { ...headers, 'content-encoding': coding, 'accept-encoding': coding });
  }

  #raw(): FuzzRequest {
    return framed(this.#path(), this.#bytes(this.#below(200)), lengthHeader(0));
  }

  #random(): FuzzRequest {
    const bytes = this.#bytes(this.#below(2_000));
    return framed(this.#path(), bytes, this.#below(2) === 0 ? {} : lengthHeader(this.#below(2_100)));
  }

  #oddPath(): FuzzRequest {
    const model = this.#one([
      'mlp',
      'mixed',
      'gpt',
      'nobody',
      '..',
      '%2e%2e%2f',
      '%00',
      '__proto__',
      'a'.repeat(300),
      'mlp@1',
      '%ff',
    ]);
    const version = this.#one([
      '',
      '/versions/1',
      '/versions/0',
      '/versions/-1',
      '/versions/1e0',
      '/versions/__proto__',
    ]);
    const tail = this.#one(['', '/ready', '/config', '/stats', '/infer', '/load', '/generate', '/generate_stream']);
    const path = this.#one([
      `/v2/models/${model}${version}${tail}`,
      `/v2/repository/models/${model}/load`,
      '/v2/repository/index',
      '/v2/',
      '/v2/models/stats',
      '/v2/health/ready',
      '/v2//models',
    ]);
    const method = this.#one(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']);
    return framed(path, Buffer.from(this.#one(['', '{}', '[]', 'null', '{"ready":1}'])), {}, method);
  }

  /** HTTP itself is broken: a length that lies, a body that ends early, no HTTP at all. */
  #brokenFrame(): FuzzRequest {
    const { body } = this.#soundRequest();
    const heads = [
      `POST /v2/models/mlp/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${this.#below(body.length)}\r\n\r\n`,
      'POST /v2/models/mlp/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n',
      'POST /v2/models/mlp/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
      'POST /v2/models/mlp/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n\r\n',
      '\0\0\0\0',
      'GET\r\n\r\n',
    ];
    return { bytes: Buffer.concat([Buffer.from(this.#one(heads)), body]), framed: false };
  }

  /** Some hundred kilobytes of text. */
  #large(): FuzzRequest {
    if (this.#below(2) === 0) {
      const ids = Array.from({ length: 1_000 + this.#below(60_000) }, () => this.#below(29));
      return framed('/v2/models/gpt/generate', Buffer.from(JSON.stringify({ input_ids: ids })), {});
    }
    const rows = 2_000 + this.#below(8_000);
    const data = Array.from({ length: rows * 8 }, () => this.#below(1_000) / 8);
    const bad = this.#below(2) === 0 ? [null] : [];
    const inputs = [{ name: 'window', datatype: 'FP32', shape: [rows, 4, 2], data: [...data, ...bad] }];
    return framed('/v2/models/mlp/infer', Buffer.from(JSON.stringify({ inputs })), {});
  }

  #soundRequest(): OipRequest & { readonly path: string } {
    if (this.#below(4) === 0) return { path: this.#generatePath(), headers: {}, body: this.#prompt() };
    return { path: this.#inferPath(), ...this.#tensors() };
  }

  /** A prompt for a decoder of 29 tokens and 64 positions; one in ten asks for more than there is. */
  #prompt(): Uint8Array<ArrayBuffer> {
    const length = this.#below(10) === 0 ? this.#below(80) : 1 + this.#below(8);
    const parameters = {
      max_tokens: 1 + this.#below(this.#below(20) === 0 ? 70 : 4),
      temperature: this.#below(3),
      top_k: 1 + this.#below(40),
      seed: this.#below(100),
    };
    const ids = Array.from({ length }, () => this.#below(this.#below(50) === 0 ? 40 : 29));
    return Uint8Array.from(Buffer.from(JSON.stringify({ id: 'f', input_ids: ids, parameters })));
  }

  #tensors(): OipRequest {
    const rows = 1 + this.#below(4);
    const tensor = (name: string, type: TensorType, dims: readonly number[], data: Tensor['data']): NamedTensor => ({
      name,
      tensor: { type, dims, data },
    });
    const numbers = (count: number) => Array.from({ length: count }, () => this.#below(100));
    const pairs = [rows, 2];
    const mixed = () => [
      tensor('int64-in', 'int64', pairs, BigInt64Array.from(numbers(rows * 2), BigInt)),
      tensor(
        'bool-in',
        'bool',
        pairs,
        Uint8Array.from(numbers(rows * 2), (value) => value % 2),
      ),
      tensor('string-in', 'string', pairs, numbers(rows * 2).map(String)),
      tensor('float64-in', 'float64', pairs, Float64Array.from(numbers(rows * 2))),
      tensor('uint8-in', 'uint8', pairs, Uint8Array.from(numbers(rows * 2))),
    ];
    const inputs =
      this.#below(2) === 0
        ? [tensor('window', 'float32', [rows, 4, 2], Float32Array.from(numbers(rows * 8)))]
        : mixed();
    return oipRequest(inputs, this.#below(2) === 0 ? 'json' : 'binary');
  }

  #path(): string {
    return this.#below(4) === 0 ? this.#generatePath() : this.#inferPath();
  }

  #generatePath(): string {
    return this.#one([
      '/v2/models/gpt/generate',
      '/v2/models/gpt/generate_stream',
      '/v2/models/gpt/versions/1/generate_stream',
    ]);
  }

  #inferPath(): string {
    return this.#one(['/v2/models/mlp/infer', '/v2/models/mixed/infer', '/v2/models/mlp/versions/1/infer']);
  }

  #replaceIn(owner: object, depth: number): void {
    const keys = Object.keys(owner);
    const key = keys[this.#below(keys.length)];
    if (key === undefined) return;
    const inner: unknown = Reflect.get(owner, key);
    if (depth > 0 && typeof inner === 'object' && inner !== null) this.#replaceIn(inner, depth - 1);
    else Reflect.set(owner, key, structuredClone(this.#one(junk)));
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Uint8Array.from({ length }, () => this.#below(256)));
  }

  #one<Value>(values: readonly Value[]): Value {
    return values[this.#below(values.length)] as Value;
  }

  /** Mulberry32 (Tommy Ettinger, 2017). */
  #below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit);
  }
}

const junk: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  '',
  'NaN',
  'BYTES',
  'FP32',
  '__proto__',
  '\0',
  '\ud800',
  'x'.repeat(2_000),
  'f'.repeat(1_024),
  [],
  {},
  [[]],
  [1, [2]],
  { length: 2 },
  { __proto__: null, toString: 1 },
  [2 ** 40, 2 ** 40],
  [-1],
  [1e9, 1e9, 1e9, 0],
  Array.from({ length: 100 }, () => 1),
];

function lengthHeader(length: number) {
  return { 'inference-header-content-length': String(length) };
}

function framed(
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
  method = 'POST',
): FuzzRequest {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n${lines.join('')}\r\n`;
  return { bytes: Buffer.concat([Buffer.from(head), body]), framed: true };
}
