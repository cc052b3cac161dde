import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';
import type { Clock } from '../platform/clock.ts';
import { errorMessage } from '../platform/errors.ts';
import { CLIENT_ADDRESS_HEADER, clientAddress } from './private-connections.ts';

export type Forwarding = {
  /** Where the other process listens. */
  readonly socketPath: string;
  /** Whether the client is to come by another connection next time. */
  readonly closes: boolean;
  readonly clock: Clock;
};

/** Between two neighbours only (RFC 9110, section 7.6.1); what follows the head is told by each for itself. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** A larger body waits for a moment: a process that refuses the request says so as soon as it has the head, and hangs up. */
const PROMPT_BODY_BYTES = 65_536;
const REFUSAL_MS = 100;

/**
 * Kept: a process that has answered before a body has ended then reads the rest of it, instead of hanging up on who still sends. Let go
 * of before the other side does, and in no greater number than sockets are to be had for, however many requests a client sends ahead.
 */
const connections = new Agent({ keepAlive: true, timeout: 30_000, maxSockets: 256 });

const forwarded = new WeakSet<IncomingMessage>();

/** Whether another process answers a request, and counts it. */
export function isForwarded(request: IncomingMessage): boolean {
  return forwarded.has(request);
}

/**
 * Has another process of the agent answer a request, whose body must not have been read. How long body and answer may take
 * is that process's to say. Never throws: whatever goes wrong is the answer.
 */
export function forward(request: IncomingMessage, response: ServerResponse, forwarding: Forwarding): void {
  forwarded.add(request);
  if (request.socket.destroyed) return;
  try {
    passOn(request, response, forwarding);
  } catch (error) {
    refuse(response, 400, `The request cannot be handed on: ${errorMessage(error)}`);
  }
}

function passOn(request: IncomingMessage, response: ServerResponse, { socketPath, closes, clock }: Forwarding): void {
  const { socket, method, url: path } = request;
  const onward = httpRequest({
    socketPath,
    method,
    path,
    headers: requestHeaders(request),
    setHost: false,
    agent: connections,
  });
  // Node has a limit of its own again for what comes next on this connection.
  socket.setTimeout(0);
  const body = sendBody(request, onward, clock);
  let answered = false;
  onward.on('response', (answer) => {
    answered = true;
    body.stop();
    answer.on('error', () => response.destroy());
    try {
      response.writeHead(answer.statusCode ?? 502, answerHeaders(answer, closes || !request.complete));
      answer.pipe(response);
    } catch {
      response.destroy();
    }
  });
  onward.on('error', (error) => {
    body.stop();
    // A process that has answered hangs up on what is left of a body.
    if (!answered) refuse(response, 503, `Another process of the agent did not answer: ${errorMessage(error)}`);
  });
  response.on('error', () => undefined);
  response.once('close', () => {
    body.stop();
    onward.destroy();
  });
}

/** @returns Ends the sending, and the wait of a large body before it. */
function sendBody(request: IncomingMessage, onward: ClientRequest, clock: Clock): { stop(): void } {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  if (coding === undefined && Number(length ?? 0) === 0) {
    onward.end();
    return { stop: () => undefined };
  }
  onward.flushHeaders();
  const isLarge = coding !== undefined || Number(length) > PROMPT_BODY_BYTES;
  const send = (): void => void request.pipe(onward);
  const timer = isLarge ? clock.setTimer(send, REFUSAL_MS) : undefined;
  if (!isLarge) send();
  return {
    stop: () => {
      timer?.cancel();
      if (!request.complete) request.unpipe(onward);
    },
  };
}

/** Answers what cannot be handed on, as far as nobody has answered it. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const body = JSON.stringify({ error: message });
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers }).end(body);
}

function requestHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const { headers, method = '' } = request;
  const isFramed = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  // Without either there is no body, which Node's client would send as an empty one in chunks.
  const isEmpty = !isFramed && ['POST', 'PUT', 'PATCH'].includes(method);
  return {
    // HTTP/1.0 has none; what the other process speaks does.
    host: '',
    ...endToEnd(headers),
    ...(headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
    ...(isEmpty ? { 'content-length': '0' } : {}),
    [CLIENT_ADDRESS_HEADER]: clientAddress(request),
  };
}

function answerHeaders(answer: IncomingMessage, closes: boolean): OutgoingHttpHeaders {
  return { ...endToEnd(answer.headers), ...(closes ? { connection: 'close' } : {}) };
}

/**
 * Headers that `Connection` names besides stay: to take a Content-Length or an Origin off at a client's word is not safe, and there is
 * no other neighbour whom they could mislead.
 */
function endToEnd(headers: IncomingMessage['headers']): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}
