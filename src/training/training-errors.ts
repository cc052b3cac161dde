import type { ErrorCatalogue } from '../platform/errors.ts';

export const trainingErrors = {
  'training-too-few-rows': {
    disposition: 'reject',
    meaning: 'There are fewer rows than a model can be fitted on and its limits checked with.',
    remedy: 'Give more history or a longer CSV; the message names how many rows are there and how many are needed.',
  },
  'training-too-many-rows': {
    disposition: 'reject',
    meaning: 'There are more rows than the box fits in memory and in reasonable time.',
    remedy: 'Train on a shorter span, or at a longer step; weeks of one state teach no more than hours of it.',
  },
  'training-too-many-tags': {
    disposition: 'reject',
    meaning: 'A watch has more tags than one model is fitted on.',
    remedy: 'Split the watch: one model for each machine finds more, and names the tag to look at.',
  },
  'training-value-invalid': {
    disposition: 'reject',
    meaning: 'A training row holds a value that is missing or not finite.',
    remedy: 'Leave the rows out, or split the history into runs without gaps; the message names row and tag.',
  },
  'training-no-variance': {
    disposition: 'reject',
    meaning: 'No tag changes in the training rows, so that there is nothing to learn normal running from.',
    remedy: 'Train on rows where the machine runs; look for a source that held its last value.',
  },
  'model-not-written': {
    disposition: 'retry',
    meaning: 'The trained model can not be put into the model directory.',
    remedy: 'Check free space and who may write there; the message names the folder and the reason.',
  },
} as const satisfies ErrorCatalogue;
