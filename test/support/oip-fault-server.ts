import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** Fault in the answer to an inference request. Other requests are answered correctly. */
export type InferFault =
  | 'none'
  | 'hang'
  | 'slow'
  | 'trickle'
  | 'reset'
  | 'reset-mid-body'
  | 'busy'
  | 'busy-for-long'
  | 'failed'
  | 'refused'
  | 'not-admitted'
  | 'redirect'
  | 'wrong-id'
  | 'no-id'
  | 'wrong-model'
  | 'wrong-shape'
  | 'fewer-rows'
  | 'wrong-type'
  | 'missing-output'
  | 'nan'
  | 'truncated-binary'
  | 'lying-header-length'
  | 'garbage'
  | 'no-http'
  | 'compressed'
  | 'endless';

/** Wrong values in the metadata. */
export type MetadataChange = {
  readonly inputs?: readonly object[];
  readonly outputs?: readonly object[];
  readonly name?: string;
};

type InferJson = {
  readonly id?: string;
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[]; readonly data?: number[] }[];
};

type ServerCertificate = { readonly cert: string; readonly key: string };

/**
 * A server of the Open Inference Protocol that shares no code with andon's, with one model `mean`: the mean over steps
 * and tags of each window, and a switch for every way in which it can go wrong.
 */
export class OipFaultServer implements AsyncDisposable {
  fault: InferFault = 'none';
  /** How many more requests the fault is for; undefined for all. */
  faultsLeft: number | undefined;
  version = '1';
  /** Added to every score: another model under the same name. */
  offset = 0;
  binary = true;
  ready = true;
  /** Steps and tags of the window, and its batch: -1 for any. */
  window: readonly number[] = [-1, 4, 2];
  metadata: MetadataChange = {};
  /** Time until an answer while 'slow'. */
  slowMs = 400;
  /** Inference requests that came, as their rows. */
  readonly rows: number[] = [];
  /** Requests of every kind that came, as method and path. */
  readonly requests: string[] = [];
  readonly authorizations: (string | undefined)[] = [];
  readonly contentTypes: (string | undefined)[] = [];
  connections = 0;
  readonly #tls: ServerCertificate | undefined;
  #server: Server | undefined;
  #port = 0;

  private constructor(tls: ServerCertificate | undefined) {
    this.#tls = tls;
  }

  /** @param tls PEM; without it the server speaks plain HTTP. */
  static async start(tls?: ServerCertificate): Promise<OipFaultServer> {
    const server = new OipFaultServer(tls);
    await server.listen();
    return server;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** On the port that it had before, if any. */
  async listen(): Promise<void> {
    const answer = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    const server = this.#tls === undefined ? createServer(answer) : createTlsServer(this.#tls, answer);
    server.on('connection', () => (this.connections += 1));
    server.keepAliveTimeout = 30_000;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Stops as a killed process does: connections are reset and nothing listens. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.requests.push(`${request.method} ${path}`);
    this.authorizations.push(request.headers.authorization);
    const body = await bodyOf(request).catch(() => undefined);
    if (body === undefined) return;
    if (path.endsWith('/infer')) return this.#infer(request, body, response);
    if (path.endsWith('/ready')) return json(response, this.ready ? 200 : 503, { ready: this.ready });
    if (path === '/v2')
      return json(response, 200, { name: 'test', version: '1', extensions: this.binary ? ['binary_tensor_data'] : [] });
    if (path.startsWith('/v2/models/mean')) return json(response, 200, this.#modelMetadata());
    json(response, 404, { error: `no ${path}` });
  }

  #modelMetadata() {
    return {
      name: 'mean',
      versions: [this.version],
      platform: 'test',
      inputs: [{ name: 'window', datatype: 'FP32', shape: this.window }],
      outputs: [{ name: 'score', datatype: 'FP32', shape: [this.window[0]] }],
      ...this.metadata,
    };
  }

  async #infer(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    this.contentTypes.push(request.headers['content-type']);
    const length = request.headers['inference-header-content-length'];
    const head = JSON.parse((length === undefined ? body : body.subarray(0, Number(length))).toString()) as InferJson;
    const [input] = head.inputs;
    const rows = input?.shape[0] ?? 0;
    this.rows.push(rows);
    const values = input?.data ?? floatsOf(body.subarray(Number(length ?? 0)));
    const scores = meansOf(values, rows).map((score) => score + this.offset);
    const fault = this.#takeFault();
    if (await this.#spoils(fault, response)) return;
    this.#send(fault, response, head.id, scores);
  }

  #takeFault(): InferFault {
    if (this.faultsLeft === undefined) return this.fault;
    if (this.faultsLeft <= 0) return 'none';
    this.faultsLeft -= 1;
    return this.fault;
  }

  /** Faults in place of an answer. @returns False if an answer must be sent. */
  async #spoils(fault: InferFault, response: ServerResponse): Promise<boolean> {
    switch (fault) {
      case 'hang':
        return true;
      case 'slow':
        await new Promise((resolve) => setTimeout(resolve, this.slowMs));
        return false;
      case 'trickle':
        trickle(response);
        return true;
      case 'reset':
        response.socket?.resetAndDestroy();
        return true;
      case 'busy':
        response.setHeader('retry-after', '0');
        json(response, 503, { error: 'come again' });
        return true;
      case 'busy-for-long':
        response.setHeader('retry-after', '60');
        json(response, 429, { error: 'not now' });
        return true;
      case 'failed':
        json(response, 500, { error: 'out of memory on the GPU' });
        return true;
      case 'refused':
        json(response, 400, { error: 'unexpected values' });
        return true;
      case 'not-admitted':
        json(response, 401, { error: 'who are you' });
        return true;
      case 'redirect':
        response.writeHead(307, { location: 'http://127.0.0.1:9/v2/models/mean/infer' }).end();
        return true;
      case 'garbage':
        response.writeHead(200, { 'content-type': 'application/json' }).end('<html>welcome</html>');
        return true;
      case 'no-http':
        response.socket?.end('\u0000\u0001 this is not HTTP\r\n\r\n');
        return true;
      case 'endless':
        endless(response);
        return true;
      case 'none':
      case 'reset-mid-body':
      case 'wrong-id':
      case 'no-id':
      case 'wrong-model':
      case 'wrong-shape':
      case 'fewer-rows':
      case 'wrong-type':
      case 'missing-output':
      case 'nan':
      case 'truncated-binary':
      case 'lying-header-length':
      case 'compressed':
        return false;
    }
  }

  #send(fault: InferFault, response: ServerResponse, id: string | undefined, scores: readonly number[]): void {
    const given = fault === 'nan' ? scores.map(() => Number.NaN) : fault === 'fewer-rows' ? scores.slice(1) : scores;
    const data = Buffer.alloc(given.length * 4);
    for (const [index, score] of given.entries()) data.writeFloatLE(score, index * 4);
    const shape = fault === 'wrong-shape' ? [given.length, 1] : [given.length];
    const content = this.binary ? { parameters: { binary_data_size: data.length } } : { data: given };
    const output = {
      name: fault === 'missing-output' ? 'other' : 'score',
      datatype: fault === 'wrong-type' ? 'INT32' : 'FP32',
      shape,
      ...content,
    };
    const answer = {
      model_name: fault === 'wrong-model' ? 'other' : 'mean',
      model_version: this.version,
      ...(fault === 'no-id' ? {} : { id: fault === 'wrong-id' ? `${id}0` : id }),
      outputs: [output],
    };
    const header = Buffer.from(JSON.stringify(answer));
    const sent = fault === 'truncated-binary' ? data.subarray(1) : data;
    const body = this.binary ? Buffer.concat([header, sent]) : header;
    if (this.binary)
      response.setHeader('inference-header-content-length', header.length + (fault === 'lying-header-length' ? 4 : 0));
    if (fault === 'compressed') response.setHeader('content-encoding', 'br');
    response.setHeader('content-type', this.binary ? 'application/octet-stream' : 'application/json');
    response.setHeader('content-length', body.length);
    if (fault !== 'reset-mid-body') return void response.end(body);
    response.write(body.subarray(0, body.length - 3), () => response.socket?.resetAndDestroy());
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function floatsOf(bytes: Buffer): readonly number[] {
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

function meansOf(values: readonly number[], rows: number): readonly number[] {
  const width = values.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const own = values.slice(row * width, (row + 1) * width);
    return own.reduce((sum, value) => sum + value, 0) / width;
  });
}

/** An endless answer, sent byte by byte. */
function trickle(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
}

/** An answer without end, as fast as it is taken. */
function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const block = Buffer.alloc(65_536, 0x20);
  const more = (): void => {
    while (!response.destroyed && response.write(block));
  };
  response.on('drain', more);
  more();
}
