import {
  type Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import type { Deps } from '../../platform/deps.ts';
import type { AccessControl } from '../../web/access/access-control.ts';
import type { Connection, ConnectionBudget } from '../../web/connection-budget.ts';
import { v2Failure } from '../v2/v2-errors.ts';
import { callOrigin, methodName, permissionOf } from './call-access.ts';
import { grpcMetrics } from './grpc-metrics.ts';
import { statusOf } from './grpc-status.ts';
import { ReadingPlaces } from './reading-places.ts';

export type CallGateOptions = {
  readonly access: AccessControl;
  readonly connections: ConnectionBudget;
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

/**
 * Gate of all calls. It refuses a call without the login that its method needs before its message is read, bounds the
 * messages that arrive together and the time that each may take, and measures the call.
 */
export class CallGate {
  readonly #options: CallGateOptions;
  readonly #places = new ReadingPlaces(READING_MAX);
  readonly #durations;
  /** Number of open calls by connection. */
  readonly #calls = new WeakMap<Connection, number>();
  #streams = 0;

  constructor(options: CallGateOptions) {
    this.#options = options;
    this.#durations = options.deps.metrics.of(grpcMetrics).andon_grpc_request_duration_seconds;
  }

  /** Interceptor of the gRPC server. */
  readonly intercept: ServerInterceptor = (definition, call) => {
    const { clock } = this.#options.deps;
    const method = methodName(definition.path);
    const isStream = definition.requestStream;
    const startedMs = clock.monotonicMs();
    const cleanUp = new DisposableStack();
    let code = status.CANCELLED;
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        try {
          this.#admit(method, isStream, metadata, call, cleanUp);
        } catch (error) {
          return gated.sendStatus(statusOf(error));
        }
        next(metadata);
      })
      .withOnReceiveMessage((message, next) => {
        gated.arrived();
        next(message);
      })
      // Called at the end of every call.
      .withOnCancel(() => {
        gated.arrived();
        cleanUp.dispose();
        this.#durations.observe({ method, status: status[code] }, (clock.monotonicMs() - startedMs) / 1_000);
      })
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendStatus((given, next) => {
        code = given.code ?? status.UNKNOWN;
        if (!cleanUp.disposed) {
          const unread = clock.setTimer(() => this.#connectionOf(call)?.socket.destroy(), UNREAD_MS_MAX);
          cleanUp.defer(() => unread.cancel());
        }
        next(given);
      })
      .build();
    // A stream may be silent between its messages.
    const gated = new GatedCall(call, responder, isStream ? enterStream : (begin) => this.#enter(gated, begin));
    return gated;
  };

  /** @throws {OperatingError} The caller may not use the method, or too many streams are open. */
  #admit(
    method: string,
    isStream: boolean,
    metadata: Metadata,
    call: ServerInterceptingCallInterface,
    cleanUp: DisposableStack,
  ): void {
    const caller = this.#options.access.admitCall(callOrigin(metadata, call), permissionOf(method));
    if (isStream) {
      if (this.#streams >= STREAMS_MAX)
        throw v2Failure('infer-busy', `${this.#streams} streams are open already; that is the most`);
      this.#streams += 1;
      cleanUp.defer(() => (this.#streams -= 1));
    }
    const connection = this.#connectionOf(call);
    if (connection === undefined) return;
    this.#count(connection, 1);
    this.#options.connections.use(connection, { complete: true }, caller !== undefined && caller.kind !== 'anonymous');
    cleanUp.defer(() => {
      if (this.#count(connection, -1) === 0) connection.request = undefined;
    });
  }

  #count(connection: Connection, change: number): number {
    const calls = (this.#calls.get(connection) ?? 0) + change;
    this.#calls.set(connection, calls);
    return calls;
  }

  #connectionOf(call: ServerInterceptingCallInterface): Connection | undefined {
    const { remoteAddress, remotePort } = call.getConnectionInfo();
    return this.#options.connections.connectionOf({ remoteAddress, remotePort });
  }

  /** Waits for a place to read the message of a call, and refuses the call if the message does not arrive in time. */
  #enter(call: ServerInterceptingCall, begin: () => void): () => void {
    const { requestTimeoutMs, deps } = this.#options;
    const late = deps.clock.setTimer(() => {
      call.sendStatus({
        code: status.DEADLINE_EXCEEDED,
        details: `The request did not arrive within ${requestTimeoutMs} ms (serving.requestTimeout)`,
      });
    }, requestTimeoutMs);
    const leave = this.#places.enter(begin);
    return () => {
      late.cancel();
      leave();
    };
  }
}

type Enter = (begin: () => void) => () => void;

const enterStream: Enter = (begin) => {
  begin();
  return () => undefined;
};

/** A call whose first message is read when `enter` begins it. */
class GatedCall extends ServerInterceptingCall {
  readonly #enter: Enter;
  #leave: (() => void) | undefined;
  #hasArrived = false;

  constructor(
    call: ServerInterceptingCallInterface,
    responder: ConstructorParameters<typeof ServerInterceptingCall>[1],
    enter: Enter,
  ) {
    super(call, responder);
    this.#enter = enter;
  }

  override startRead(): void {
    if (this.#leave !== undefined) return super.startRead();
    this.#leave = this.#enter(() => super.startRead());
    if (this.#hasArrived) this.#leave();
  }

  /** The message has arrived, or the call has ended. */
  arrived(): void {
    this.#hasArrived = true;
    this.#leave?.();
  }
}
