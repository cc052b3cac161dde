/** Options of a link without pauses, as a source has them by default. */
export const plainLink = {
  connectTimeoutMs: 1000,
  reconnectFirstMs: 10,
  reconnectMaxMs: 10,
  pauseMs: 0,
  pauseAfterConnectMs: 0,
  closeAfterScan: false,
  framing: 'tolerant',
  transactionId: 'check',
} as const;
