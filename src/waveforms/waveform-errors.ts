import { type ErrorCatalogue, failures, retry } from '../platform/errors.ts';

export const waveformErrors = {
  'waveform-queue-full': retry(
    'More waveforms arrived than features can be calculated from. The waveform was dropped.',
    'Send fewer or shorter waveforms, or raise `waveforms.maxWaiting` if they come in bursts.',
  ),
  'waveform-worker-lost': retry(
    'The thread that calculates features of waveforms ended, or did not answer within 60 s. The waveform was dropped.',
    'The next waveform starts another thread. If it repeats, check the free memory and the log.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const waveformFailure = failures(waveformErrors);
