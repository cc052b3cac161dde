/** A connection that the broker closes earlier may have been taken over. */
export const EARLY_MS = 30_000;
/** A broker also closes connections that it does not like: one or two are not named. */
const CLOSES_MIN = 3;
/** Ends of a connection by the broker. */
const closings: ReadonlySet<string> = new Set(['mqtt-closed', 'mqtt-unreachable']);

/**
 * Recognises two clients with one client id: the broker closes the older connection at each login of the other, so that both connect
 * again for ever. MQTT 5 has a reason code for it (0x8E); with 3.1.1, and with brokers that do not send it, only the repetition shows.
 */
export class TakeoverMonitor {
  readonly #clientId: string;
  readonly #isChosen: boolean;
  #closes = 0;

  /** @param isChosen True if the user chose the client id. A random one is unique. */
  constructor(clientId: string, isChosen: boolean) {
    this.#clientId = clientId;
    this.#isChosen = isChosen;
  }

  /** @param livedMs Time since the login. */
  ended(code: string, livedMs: number): void {
    this.#closes = closings.has(code) && livedMs < EARLY_MS ? this.#closes + 1 : 0;
  }

  /** A connection has lasted. */
  lasted(): void {
    this.#closes = 0;
  }

  /** Text for the operator; undefined if nothing is suspicious. */
  get suspicion(): string | undefined {
    if (!this.#isChosen || this.#closes < CLOSES_MIN) return undefined;
    return `The broker closed ${this.#closes} connections in a row soon after the login. The log of the broker has the cause; probably ${takeoverRemedy(this.#clientId)}`;
  }
}

/** Returns the cause and the remedy. */
export function takeoverRemedy(clientId: string): string {
  return `another client uses the client id '${clientId}'. Give each its own clientId, or leave clientId out for a random one`;
}
