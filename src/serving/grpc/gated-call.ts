import { ServerInterceptingCall } from '@grpc/grpc-js';

/** Messages that are read from a call: none, one, or each after the answer to the one before. */
export type CallKind = 'health' | 'unary' | 'stream';

type Listener = Parameters<ServerInterceptingCall['start']>[0];

type GatedCallOptions = {
  readonly kind: CallKind;
  /** Waits until the message of a unary call may be read, and calls `begin`. */
  readonly enter: (begin: () => void) => void;
  readonly sending: () => void;
  /** An answer has left. */
  readonly sent: () => void;
};

/** A call whose messages are read when the gate allows it. */
export class GatedCall extends ServerInterceptingCall {
  readonly #options: GatedCallOptions;
  #listener: Listener | undefined;
  #reads = 0;
  #isBusy = false;
  #wantsRead = false;

  constructor(
    call: ConstructorParameters<typeof ServerInterceptingCall>[0],
    responder: ConstructorParameters<typeof ServerInterceptingCall>[1],
    options: GatedCallOptions,
  ) {
    super(call, responder);
    this.#options = options;
  }

  /** True from a message of a stream to its answer. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** A message of a stream has arrived. */
  begin(): void {
    this.#isBusy = true;
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    super.start(listener);
  }

  override startRead(): void {
    const { kind, enter } = this.#options;
    this.#reads += 1;
    if (kind === 'health') this.#skipMessage();
    else if (kind === 'unary' && this.#reads === 1) enter(() => super.startRead());
    // The library's stream would read 16 messages ahead.
    else if (this.#isBusy) this.#wantsRead = true;
    else super.startRead();
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#options.sending();
    super.sendMessage(message, () => {
      this.#options.sent();
      this.#isBusy = false;
      if (this.#wantsRead) {
        this.#wantsRead = false;
        super.startRead();
      }
      callback();
    });
  }

  /** The message of a health check is empty. The check is answered without waiting for it, so that it holds nothing. */
  #skipMessage(): void {
    if (this.#reads === 1) this.#listener?.onReceiveMessage(Buffer.alloc(0));
    else this.#listener?.onReceiveHalfClose();
  }
}
