/** A kind of reason of an `unknown` verdict. */
export type UnknownReason = {
  /** Reason as users see it, with the changing parts in capitals. */
  readonly text: string;
  readonly pattern: RegExp;
  readonly cause: string;
  readonly remedy: string;
};

/** Every kind of reason for an `unknown` verdict; docs/quality.md is made from it. */
export const unknownReasons: readonly UnknownReason[] = [
  {
    text: 'TAG: no good value for 12 s (REASON)',
    pattern: /^.+: no good value for .+ \(.+\)/,
    cause:
      'The last good value of the tag is older than `window.maxAge`. In brackets is its quality reason, or `nothing was received`.',
    remedy: 'See the quality reason above. Raise `maxAge` for a tag that changes rarely.',
  },
  {
    text: 'TAG: no good value yet (REASON)',
    pattern: /^.+: no good value yet \(.+\)/,
    cause: 'The tag has had no good value since the start.',
    remedy: 'See the quality reason above.',
  },
  {
    text: 'TAG: 3 of 49 values of the window are missing',
    pattern: /^.+: \d+ of \d+ values of the window are missing/,
    cause: 'The window has gaps, and fewer good values than `window.minGood` allows.',
    remedy: 'Remove the cause of the gaps, or lower `minGood`: gaps are then filled with the value before.',
  },
  {
    text: 'new mode: TAG is 4, and the model knows 1, 2, 3. Train it again …',
    pattern: /^new mode: .+ is .+, and the model knows /,
    cause: 'The tag of `mode` has a value that the rows of the training did not have, or not often enough.',
    remedy: 'Let the machine run normally in this mode, then `andon train` on a time that has all modes.',
  },
  {
    text: 'window filling, 12 of 49 rows',
    pattern: /window filling, \d+ of \d+ rows$/,
    cause: 'The agent has started, the clock was set, or the model uses another number of rows.',
    remedy: 'Wait: the rest of the window takes its number of rows times `window.step`.',
  },
  {
    text: 'model NAME is not ready: STATE, REASON',
    pattern: /model .+ is not ready: /,
    cause: 'The model is loading, was refused, or its host failed.',
    remedy: '`andon status` has the reason at `model/NAME`; `andon models verify` proves the version.',
  },
  {
    text: 'learning',
    pattern: /^learning$/,
    cause: 'The watch waits for its first trained model.',
    remedy: 'Train one with `andon train`, then activate it.',
  },
  {
    text: 'model NAME sees 5 tags, the watch binds 4',
    pattern: /^model .+ sees \d+ (tags|rows), /,
    cause: 'Another version with other tags or rows became active while the window waited.',
    remedy: 'If it stays, the tags of the watch do not fit the model: `andon check`.',
  },
  {
    text: 'superseded: a window 1000 ms newer was due before this one could run',
    pattern: /^superseded: a window \d+ ms newer/,
    cause: 'The model is slower than the hop of its watches.',
    remedy: 'Raise `window.hop`, use a faster execution provider, or a smaller model. `andon plan` has the times.',
  },
  {
    text: 'NAME@3 was rolled back, and NAME@2 did not answer in time',
    pattern: /^.+@\d+ was rolled back, and .+ did not answer in time$/,
    cause: 'A rollout ended while a window was with the candidate.',
    remedy: 'None: the next window is judged by the version before.',
  },
  {
    text: 'no verdict yet',
    pattern: /^no verdict yet$/,
    cause: 'Sparkplug births only: no window was due since the start.',
    remedy: 'Wait for the first window.',
  },
];

/** Returns the kind of a reason; undefined for the message of an error, which is in docs/errors.md. */
export function unknownReasonOf(reason: string): UnknownReason | undefined {
  return unknownReasons.find(({ pattern }) => pattern.test(reason));
}
