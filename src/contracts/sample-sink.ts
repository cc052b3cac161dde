import type { SampleBatch } from '../domain/sample/sample-batch.ts';

/**
 * Receives the samples of a source.
 *
 * A call is one scan or one message: every tag of the scan is in the batch, failed ones as `bad` with their reason. The
 * batch belongs to the caller and may be reused after the call. The content of a batch never causes an exception.
 */
export interface SampleSink {
  accept(batch: SampleBatch): void;
}
