import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';

const privateSockets = new WeakSet<Socket>();

/** Says who asked, of a request that another process of the agent hands on. */
export const CLIENT_ADDRESS_HEADER = 'x-andon-client-address';

/** Whether a request was handed on by another process of the agent. */
export function isHandedOn({ socket }: IncomingMessage): boolean {
  return privateSockets.has(socket);
}

/** Where a request came from; whoever comes by the network cannot say that it was another. */
export function clientAddress(request: IncomingMessage): string {
  const told = isHandedOn(request) ? String(request.headers[CLIENT_ADDRESS_HEADER]) : request.socket.remoteAddress;
  return told ?? 'unknown';
}

/** Accepts for an HTTP server what other processes of the agent hand on to it by a private socket. */
export function privateAcceptor(server: Server): Server {
  // As Node's own HTTP server has its connections.
  const acceptor = createServer({ allowHalfOpen: true }, (socket) => {
    privateSockets.add(socket);
    server.emit('connection', socket);
  });
  // A connection that could not be accepted is its client's to report.
  acceptor.on('error', () => undefined);
  return acceptor;
}
