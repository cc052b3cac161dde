import type { SourceContext } from '../../src/contracts/source.ts';

/** Context of a source that creates no tags and waits for no acknowledgement. */
export const plainSource: Pick<SourceContext<unknown>, 'bindTag' | 'history' | 'stateFolder'> = {
  bindTag: () => 'too-many',
  stateFolder: '/nonexistent',
  history: { add: () => undefined, stored: () => Promise.resolve() },
};
