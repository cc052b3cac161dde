import type { SourceContext } from '../../src/contracts/source.ts';

/** Context of a source that creates no tags and waits for no acknowledgement. */
export const plainSource: Pick<SourceContext<unknown>, 'bindTag' | 'history'> = {
  bindTag: () => 'too-many',
  history: { add: () => undefined, stored: () => Promise.resolve() },
};
