export const unknownReasonCodes = [
  'tag-stale',
  'tag-without-value',
  'window-incomplete',
  'new-mode',
  'window-filling',
  'model-not-ready',
  'learning',
  'model-incompatible',
  'superseded',
  'rolled-back',
  'no-verdict',
] as const;
export type UnknownReasonCode = (typeof unknownReasonCodes)[number];

/** A kind of reason of an `unknown` verdict. */
export type UnknownReason = {
  /** Name for programs and translations. */
  readonly code: UnknownReasonCode;
  /** Reason as users see it, with the changing parts in capitals. */
  readonly text: string;
  /** Its named groups are the parameters. */
  readonly pattern: RegExp;
  readonly cause: string;
  readonly remedy: string;
};

/** Every kind of reason for an `unknown` verdict; docs/quality.md is made from it. */
export const unknownReasons: readonly UnknownReason[] = [
  {
    code: 'tag-stale',
    text: 'TAG: no good value for 12 s (REASON)',
    pattern: /^(?<tag>.+): no good value for (?<age>.+) \((?<quality>.+)\)/,
    cause:
      'The last good value of the tag is older than `window.maxAge`. In brackets is its quality reason, or `nothing was received`.',
    remedy: 'See the quality reason above. Raise `maxAge` for a tag that changes rarely.',
  },
  {
    code: 'tag-without-value',
    text: 'TAG: no good value yet (REASON)',
    pattern: /^(?<tag>.+): no good value yet \((?<quality>.+)\)/,
    cause: 'The tag has had no good value since the start.',
    remedy: 'See the quality reason above.',
  },
  {
    code: 'window-incomplete',
    text: 'TAG: 3 of 49 values of the window are missing',
    pattern: /^(?<tag>.+): (?<missing>\d+) of (?<values>\d+) values of the window are missing/,
    cause: 'The window has gaps, and fewer good values than `window.minGood` allows.',
    remedy: 'Remove the cause of the gaps, or lower `minGood`: gaps are then filled with the value before.',
  },
  {
    code: 'new-mode',
    text: 'new mode: TAG is 4, and the model knows 1, 2, 3. Train it again …',
    pattern: /^new mode: (?<tag>.+) is (?<value>.+), and the model knows /,
    cause: 'The tag of `mode` has a value that the rows of the training did not have, or not often enough.',
    remedy: 'Let the machine run normally in this mode, then `andon train` on a time that has all modes.',
  },
  {
    code: 'window-filling',
    text: 'window filling, 12 of 49 rows',
    pattern: /window filling, (?<rows>\d+) of (?<length>\d+) rows$/,
    cause: 'The agent has started, the clock was set, or the model uses another number of rows.',
    remedy: 'Wait: the rest of the window takes its number of rows times `window.step`.',
  },
  {
    code: 'model-not-ready',
    text: 'model NAME is not ready: STATE, REASON',
    pattern: /model (?<model>.+?) is not ready: (?<reason>.*)/s,
    cause: 'The model is loading, was refused, or its host failed.',
    remedy: '`andon status` has the reason at `model/NAME`; `andon models verify` proves the version.',
  },
  {
    code: 'learning',
    text: 'learning',
    pattern: /^learning$/,
    cause: 'The watch waits for its first trained model.',
    remedy: 'Train one with `andon train`, then activate it.',
  },
  {
    code: 'model-incompatible',
    text: 'model NAME sees 5 tags, the watch binds 4',
    pattern: /^model (?<model>.+) sees \d+ (?:tags|rows), /,
    cause: 'Another version with other tags or rows became active while the window waited.',
    remedy: 'If it stays, the tags of the watch do not fit the model: `andon check`.',
  },
  {
    code: 'superseded',
    text: 'superseded: a window 1000 ms newer was due before this one could run',
    pattern: /^superseded: a window (?<newer_ms>\d+) ms newer/,
    cause: 'The model is slower than the hop of its watches.',
    remedy: 'Raise `window.hop`, use a faster execution provider, or a smaller model. `andon plan` has the times.',
  },
  {
    code: 'rolled-back',
    text: 'NAME@3 was rolled back, and NAME@2 did not answer in time',
    pattern: /^(?<candidate>.+@\d+) was rolled back, and (?<incumbent>.+) did not answer in time$/,
    cause: 'A rollout ended while a window was with the candidate.',
    remedy: 'None: the next window is judged by the version before.',
  },
  {
    code: 'no-verdict',
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

/** Code and parameters of a reason, for translations; undefined for the message of an error. */
export function coded(
  reason: string,
): { readonly code: UnknownReasonCode; readonly parameters: Readonly<Record<string, string>> } | undefined {
  // A verdict of an incomplete window has a reason, too, after these words.
  if (reason.startsWith('estimated from the other tags: ')) return undefined;
  for (const { code, pattern } of unknownReasons) {
    const match = pattern.exec(reason);
    if (match !== null) return { code, parameters: { ...match.groups } };
  }
  return undefined;
}
