import type { SourceContext } from '../../src/contracts/source.ts';

/** What a source that makes no tags by itself and waits for nobody gets. */
export const plainSource: Pick<SourceContext<unknown>, 'bindTag' | 'history'> = {
  bindTag: () => 'too-many',
  history: { add: () => undefined, stored: () => Promise.resolve() },
};
