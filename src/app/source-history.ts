import type { SourceHistory } from '../contracts/source.ts';
import type { SampleHistoryStore } from '../outbox/sample-history.ts';
import { OperatingError } from '../platform/errors.ts';

/** Returns the history as one source uses it: `stored` rejects if samples were lost since its last call. */
export function sourceHistory(history: SampleHistoryStore): SourceHistory {
  let lost = history.lost;
  return {
    add: (batch) => history.add(batch),
    stored: async () => {
      await history.flush();
      const lostNow = history.lost - lost;
      lost = history.lost;
      if (lostNow === 0 && !history.isRefused) return;
      const text = history.isRefused
        ? 'The history cannot be written now, and samples wait in memory'
        : `${lostNow} samples could not be stored in the history`;
      throw new OperatingError('samples-not-stored', 'retry', text);
    },
  };
}
