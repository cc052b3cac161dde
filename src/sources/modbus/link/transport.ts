/** Byte stream to devices: a socket or a serial port. Opened once; the next attempt is a new transport. */
export interface Transport {
  open(listener: TransportListener): void;
  write(bytes: Buffer): void;
  /** Discards received bytes that were not delivered yet. */
  discardInput(discarded: () => void): void;
  /** Closes the transport without calling the listener. */
  destroy(): void;
}

export type TransportListener = {
  readonly onOpen: () => void;
  /**
   * @param bytes Valid during the call only.
   * @returns True to continue reading.
   */
  readonly onBytes: (bytes: Buffer, length: number) => boolean;
  /** The transport could not be opened, or it ended. May be called more than once. @param reason Message for an operator. */
  readonly onEnd: (reason: string) => void;
};
