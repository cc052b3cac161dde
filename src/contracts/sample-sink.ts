import type { SampleBatch } from '../domain/sample/sample-batch.ts';

/**
 * Takes what a source has read.
 *
 * A call is one scan or one message: every tag that the scan should have read is in the batch, the failed
 * ones as `bad` with their reason. The batch belongs to the caller and may be reused after the call.
 * Never throws for what is in a batch.
 */
export interface SampleSink {
  accept(batch: SampleBatch): void;
}
