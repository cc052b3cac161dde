import type { ErrorCatalogue } from '../../platform/errors.ts';

export const trainingErrors = {
  'training-too-few-rows': {
    disposition: 'reject',
    meaning: 'There are too few rows to fit a model and to check its limits.',
    remedy: 'Use more history or a longer CSV; the message has the number of rows found and needed.',
  },
  'training-too-many-rows': {
    disposition: 'reject',
    meaning: 'There are too many rows for memory and training time.',
    remedy: 'Train on a shorter span or with a longer step; weeks in one state teach no more than hours.',
  },
  'training-too-many-tags': {
    disposition: 'reject',
    meaning: 'A watch has more tags than one model supports.',
    remedy: 'Split the watch: one model for each machine detects more and blames the right tag.',
  },
  'training-value-invalid': {
    disposition: 'reject',
    meaning: 'A training row holds a value that is missing or not finite.',
    remedy: 'Remove the rows, or split the history into runs without gaps; the message names row and tag.',
  },
  'training-no-variance': {
    disposition: 'reject',
    meaning: 'No tag changes in the training rows, so normal running cannot be learned.',
    remedy: 'Train on rows while the machine runs; check for a source that held its last value.',
  },
  'training-algorithm-unknown': {
    disposition: 'reject',
    meaning: 'No algorithm of that name is there for the task.',
    remedy: 'Use one of the names in the message; `andon train --help` describes each.',
  },
  'training-labels-invalid': {
    disposition: 'reject',
    meaning: 'A classification or regression has no labels to learn from, or labels that make no sense for it.',
    remedy: 'Name the column with `--label`; a classification needs two classes or more, a regression numbers.',
  },
  'rows-invalid': {
    disposition: 'reject',
    meaning: '`--rows`, `--from` or `--to` of a training or an evaluation cannot be understood.',
    remedy: 'Rows count from 0 after the header: `0-399`, `400-`. Times are ISO 8601 or an age such as `7d`.',
  },
  'watch-unknown': {
    disposition: 'reject',
    meaning: 'The configuration has no watch of the name given with `--watch`.',
    remedy: 'Take one of the names in the message.',
  },
  'history-unavailable': {
    disposition: 'retry',
    meaning: 'A command cannot read the sample history next to `outbox.path`.',
    remedy: 'Run the command as the user of the agent, after the agent has run; or name a CSV with `--csv`.',
  },
  'history-empty': {
    disposition: 'reject',
    meaning: 'A tag of the watch has no sample in the history.',
    remedy: 'Let the agent run for a while: it keeps the good samples of every watched tag for `outbox.history`.',
  },
  'file-not-written': {
    disposition: 'retry',
    meaning: 'A command cannot write the file of `--out` or `--report`.',
    remedy: 'Check that the folder is there, who may write, and the free space.',
  },
  'model-incompatible': {
    disposition: 'reject',
    meaning: 'A model to be evaluated has other columns than the tags of the watch, or has them in another order.',
    remedy: 'Give the tags in the order that the message names, or train a model for this watch.',
  },
  'model-not-proven': {
    disposition: 'reject',
    meaning: 'A version was written, and the runtime does not load it or gives other scores than the fit.',
    remedy: 'Do not activate it. A bug, or a runtime of another version: please report it with the data.',
  },
  'model-not-written': {
    disposition: 'retry',
    meaning: 'The trained model can not be put into the model directory.',
    remedy: 'Check free space and who may write there; the message names the folder and the reason.',
  },
} as const satisfies ErrorCatalogue;
