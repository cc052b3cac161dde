import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import { errorMessage } from '../platform/errors.ts';

export type Forwarding = {
  /** Where that process listens. */
  readonly socketPath: string;
  /** Sent along, in the place of the client's own of these names. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the client is to come by another connection next time. */
  readonly closes?: boolean;
};

/** Between two neighbours only; what follows is told by each for itself. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'expect']);

const forwarded = new WeakSet<IncomingMessage>();

/** Whether another process answers a request, and counts it. */
export function isForwarded(request: IncomingMessage): boolean {
  return forwarded.has(request);
}

/**
 * Has another process of the agent answer a request, whose body must not have been read. How long bodies and answers may take is
 * that process's to say.
 */
export function forward(request: IncomingMessage, response: ServerResponse, forwarding: Forwarding): void {
  const { socketPath, headers = {}, closes = false } = forwarding;
  forwarded.add(request);
  const { socket } = request;
  const limitMs = socket.timeout ?? 0;
  socket.setTimeout(0);
  const onward = httpRequest({
    socketPath,
    method: request.method,
    path: request.url,
    headers: { ...endToEnd(request.headers), ...headers },
    setHost: false,
    agent: false,
  });
  onward.on('response', (answer) => {
    const own = closes ? { connection: 'close' } : {};
    response.writeHead(answer.statusCode ?? 502, { ...endToEnd(answer.headers), ...own });
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  onward.on('error', (error) => {
    if (response.headersSent) return void response.destroy();
    const body = JSON.stringify({ error: `Another process of the agent cannot be reached: ${errorMessage(error)}` });
    response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1', connection: 'close' }).end(body);
  });
  response.once('close', () => {
    onward.destroy();
    socket.setTimeout(limitMs);
  });
  request.pipe(onward);
}

function endToEnd(headers: IncomingMessage['headers']): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}
