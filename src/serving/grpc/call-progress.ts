import type { Clock, Timer } from '../../platform/clock.ts';
import type { ConnectionCalls } from './connection-calls.ts';

/** Timers and places that a call holds while its request arrives, runs and is answered. */
export class CallProgress {
  readonly #clock: Clock;
  /** Calls of its connection; undefined if the connection has ended. */
  #calls: ConnectionCalls | undefined;
  #late: Timer | undefined;
  #unread: Timer | undefined;
  #leavePlace: () => void = () => undefined;
  #releaseMemory: () => void = () => undefined;
  #hasArrived = false;
  #hasEnded = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admitted(calls: ConnectionCalls): void {
    this.#calls = calls;
  }

  /** @param leavePlace Gives back the place in which the message arrives. @param late Called if it does not arrive in time. */
  reading(leavePlace: () => void, late: () => void, timeoutMs: number): void {
    if (this.#hasEnded) return leavePlace();
    this.#leavePlace = leavePlace;
    this.#late = this.#clock.setTimer(late, timeoutMs);
  }

  /** The message has arrived, but the client may not have closed its side. */
  received(releaseMemory: () => void): void {
    this.#leavePlace();
    this.#releaseMemory = releaseMemory;
  }

  /** The whole request has arrived. */
  arrived(): void {
    this.#late?.cancel();
    if (this.#hasArrived) return;
    this.#hasArrived = true;
    this.#calls?.arrived();
  }

  /** An answer is sent. @param unread Called if the client does not read it in time. */
  sending(unread: () => void, timeoutMs: number): void {
    this.#unread?.cancel();
    if (!this.#hasEnded) this.#unread = this.#clock.setTimer(unread, timeoutMs);
  }

  /** The answer of a stream has left. */
  answered(): void {
    this.#unread?.cancel();
    if (!this.#hasArrived) return;
    this.#hasArrived = false;
    this.#calls?.answered();
  }

  end(): void {
    this.#hasEnded = true;
    this.#late?.cancel();
    this.#leavePlace();
    this.#releaseMemory();
    this.answered();
  }
}
