import {
  type Metadata,
  ResponderBuilder,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import type { Deps } from '../../platform/deps.ts';
import type { AccessControl } from '../../web/access/access-control.ts';
import type { Connection, ConnectionBudget } from '../../web/connection-budget.ts';
import type { RequestResources } from '../v2/request-resources.ts';
import { callOrigin, methodName, permissionOf } from './call-access.ts';
import { CallProgress } from './call-progress.ts';
import { ConnectionCalls } from './connection-calls.ts';
import { type CallKind, GatedCall } from './gated-call.ts';
import { grpcMetrics } from './grpc-metrics.ts';
import { statusOf } from './grpc-status.ts';
import { ReadingPlaces } from './reading-places.ts';
import { StreamPlaces } from './stream-places.ts';

export type CallGateOptions = {
  readonly access: AccessControl;
  readonly connections: ConnectionBudget;
  readonly takeMemory: RequestResources['takeMemory'];
  /** Longest time for a request to arrive. */
  readonly requestTimeoutMs: number;
  readonly deps: Deps;
};

/** Messages that may arrive at the same time, each of the largest size at most. */
const READING_MAX = 16;
/** Open calls of `ModelStreamInfer`, each with a message of the largest size at most. */
const STREAMS_MAX = 32;

/** Longest time for a client to read a response. Then its connection is closed, as the response stays in memory. */
const UNREAD_MS_MAX = 30_000;

/** Status of an idle stream whose place another took. */
const REPLACED = { code: status.UNAVAILABLE, details: 'The stream was idle, and another took its place' };

/**
 * Gate of all calls. It refuses a call without the login that its method needs before its message is read, bounds the
 * messages that arrive together, their memory and the time that each may take, and measures the call.
 */
export class CallGate {
  readonly #options: CallGateOptions;
  readonly #places = new ReadingPlaces(READING_MAX);
  readonly #streams = new StreamPlaces(STREAMS_MAX);
  readonly #durations;
  readonly #calls = new WeakMap<Connection, ConnectionCalls>();

  constructor(options: CallGateOptions) {
    this.#options = options;
    this.#durations = options.deps.metrics.of(grpcMetrics).andon_grpc_request_duration_seconds;
  }

  /** Interceptor of the gRPC server. */
  readonly intercept: ServerInterceptor = (definition, call) => {
    const { deps, takeMemory } = this.#options;
    const method = methodName(definition.path);
    const kind = kindOf(method, definition.requestStream);
    const startedMs = deps.clock.monotonicMs();
    const progress = new CallProgress(deps.clock);
    const cleanUp = new DisposableStack();
    let code = status.CANCELLED;
    const stream = { isBusy: () => gated.isBusy, end: () => gated.sendStatus(REPLACED) };
    /** Continues with `next`, or refuses the call. */
    const guarded = (admit: () => void, next: () => void): void => {
      try {
        admit();
      } catch (error) {
        return gated.sendStatus(statusOf(error));
      }
      next();
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) =>
        guarded(
          () => {
            this.#admit(method, metadata, call, progress, cleanUp);
            if (kind === 'stream') cleanUp.defer(this.#streams.enter(stream));
          },
          () => next(metadata),
        ),
      )
      .withOnReceiveMessage((message: Uint8Array, next) => {
        // The handler of a stream takes the memory, as its refusal does not end the stream.
        if (kind === 'unary')
          return guarded(
            () => progress.received(takeMemory(message.length)),
            () => next(message),
          );
        gated.begin();
        progress.arrived();
        this.#streams.use(stream);
        next(message);
      })
      .withOnReceiveHalfClose((next) => {
        if (kind === 'unary') progress.arrived();
        next();
      })
      // Called at the end of every call.
      .withOnCancel(() => {
        progress.end();
        cleanUp.dispose();
        this.#durations.observe({ method, status: status[code] }, (deps.clock.monotonicMs() - startedMs) / 1_000);
      })
      .build();
    const sending = () => progress.sending(() => this.#connectionOf(call)?.socket.destroy(), UNREAD_MS_MAX);
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendStatus((given, next) => {
        code = given.code ?? status.UNKNOWN;
        sending();
        next(given);
      })
      .build();
    const gated = new GatedCall(call, responder, {
      kind,
      enter: (begin) => this.#enter(gated, begin, progress),
      sending,
      sent: () => progress.answered(),
    });
    return gated;
  };

  /** @throws {OperatingError} The caller may not use the method. */
  #admit(
    method: string,
    metadata: Metadata,
    call: ServerInterceptingCallInterface,
    progress: CallProgress,
    cleanUp: DisposableStack,
  ): void {
    const caller = this.#options.access.admitCall(callOrigin(metadata, call), permissionOf(method));
    const connection = this.#connectionOf(call);
    if (connection === undefined) return;
    const calls = this.#callsOf(connection);
    calls.opened();
    cleanUp.defer(() => calls.closed(connection));
    this.#options.connections.use(connection, calls, caller !== undefined && caller.kind !== 'anonymous');
    progress.admitted(calls);
  }

  #callsOf(connection: Connection): ConnectionCalls {
    const calls = this.#calls.get(connection) ?? new ConnectionCalls();
    this.#calls.set(connection, calls);
    return calls;
  }

  #connectionOf(call: ServerInterceptingCallInterface): Connection | undefined {
    const { remoteAddress, remotePort } = call.getConnectionInfo();
    return this.#options.connections.connectionOf({ remoteAddress, remotePort });
  }

  /** Waits for a place to read the message of a call, and refuses the call if its request does not arrive in time. */
  #enter(call: GatedCall, begin: () => void, progress: CallProgress): void {
    const { requestTimeoutMs } = this.#options;
    const details = `The request did not arrive within ${requestTimeoutMs} ms (serving.requestTimeout)`;
    const late = () => call.sendStatus({ code: status.DEADLINE_EXCEEDED, details });
    progress.reading(this.#places.enter(begin), late, requestTimeoutMs);
  }
}

function kindOf(method: string, isStream: boolean): CallKind {
  if (isStream) return 'stream';
  return permissionOf(method) === 'open' ? 'health' : 'unary';
}
