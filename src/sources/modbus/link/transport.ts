/** A stream of bytes to devices: a socket or a serial port. Opened once; the next attempt is a new one. */
export interface Transport {
  open(listener: TransportListener): void;
  write(bytes: Buffer): void;
  /** Drops what arrived and was not handed over yet. */
  discardInput(discarded: () => void): void;
  /** Ends it without a word to the listener. */
  destroy(): void;
}

export type TransportListener = {
  readonly onOpen: () => void;
  /**
   * The bytes are valid during the call only.
   * @returns True to go on reading.
   */
  readonly onBytes: (bytes: Buffer, length: number) => boolean;
  /** It could not be opened, or is over. May be called more than once. @param reason For an operator. */
  readonly onEnd: (reason: string) => void;
};
