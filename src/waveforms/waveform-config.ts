import { configObject, wholeNumber } from '../platform/config-fields.ts';

/** Section `waveforms`. */
export const waveformsConfigSchema = configObject({
  maxWaiting: wholeNumber(
    'Most waveforms that wait for their features. A further one is dropped and counted, and its features are bad with the reason waveform-dropped',
    10_000,
  ).default(64),
})
  .prefault({})
  .describe('Calculation of features from waveforms, in a thread of its own');
