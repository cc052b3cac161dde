import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

export const trainingErrors = {
  'training-too-few-rows': reject(
    'There are too few rows to fit a model and to check its limits.',
    'Use more history or a longer CSV; the message has the number of rows found and needed. `andon train --force` trains a model with a warning on fewer rows than the algorithm advises.',
  ),
  'training-busy': reject('A training is in progress, and one runs at a time.', 'Wait for its end, or cancel it.'),
  'training-watch-unknown': reject('The configuration has no such watch.', 'See `GET /api/v1/watches`.'),
  'training-unknown': reject('No training with this number is in progress.', 'See `GET /api/v1/models/trainings`.'),
  'training-process-lost': retry(
    'The process that trains the model of a watch ended without a result: it was killed, often because memory ran out.',
    'The training is repeated after more history. If it happens again, free memory, or train on another machine with `andon train --csv`.',
  ),
  'training-too-many-rows': reject(
    'There are too many rows for memory and training time.',
    'Train on a shorter span or with a longer step; weeks in one state teach no more than hours.',
  ),
  'training-too-many-tags': reject(
    'A watch has more tags than one model supports.',
    'Split the watch: one model for each machine detects more and blames the right tag.',
  ),
  'training-value-invalid': reject(
    'A training row holds a value that is missing or not finite.',
    'Remove the rows, or split the history into runs without gaps; the message names row and tag.',
  ),
  'training-no-variance': reject(
    'No tag changes in the training rows, so normal running cannot be learned.',
    'Train on rows while the machine runs; check for a source that held its last value.',
  ),
  'training-algorithm-unknown': reject(
    'No algorithm of that name is there for the task.',
    'Use one of the names in the message; `andon train --help` describes each.',
  ),
  'training-labels-invalid': reject(
    'A classification or regression has no labels to learn from, or labels that make no sense for it.',
    'Name the column with `--label`; a classification needs two classes or more, a regression numbers.',
  ),
  'rows-invalid': reject(
    '`--rows`, `--from` or `--to` of a training or an evaluation cannot be understood.',
    'Rows count from 0 after the header: `0-399`, `400-`. Times are ISO 8601 or an age such as `7d`.',
  ),
  'watch-unknown': reject(
    'The configuration has no watch of the name given with `--watch`.',
    'Take one of the names in the message.',
  ),
  'history-unavailable': retry(
    'A command cannot read the sample history next to `outbox.path`.',
    'Run the command as the user of the agent, after the agent has run; or name a CSV with `--csv`.',
  ),
  'history-empty': reject(
    'A tag of the watch has no sample in the history.',
    'Let the agent run for a while: it keeps the good samples of every watched tag for `outbox.history`.',
  ),
  'file-not-written': retry(
    'A command cannot write the file of `--out` or `--report`.',
    'Check that the folder is there, who may write, and the free space.',
  ),
  'model-incompatible': reject(
    'A model to be evaluated has other columns than the tags of the watch, or has them in another order.',
    'Give the tags in the order that the message names, or train a model for this watch.',
  ),
  'model-not-proven': reject(
    'A version was written, and the runtime does not load it or gives other scores than the fit.',
    'Do not activate it. A bug, or a runtime of another version: please report it with the data.',
  ),
  'model-not-written': retry(
    'The trained model cannot be put into the model directory.',
    'Check free space and who may write there; the message names the folder and the reason.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const trainingFailure = failures(trainingErrors);
