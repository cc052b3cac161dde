import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { isLive } from '../agent/agent-state.ts';
import { messageOf } from '../agent/message-of.ts';

type Answer<Data> = {
  /** Undefined until the first answer. */
  readonly data: Signal<Data | undefined>;
  /** Why the last request failed; undefined if it did not. */
  readonly problem: Signal<string | undefined>;
};

/**
 * Reads something from the agent, again if `key` changes, and every `everyMs`. An answer for an earlier key is dropped.
 *
 * @param everyMs Undefined reads once.
 */
export function useAnswer<Data>(key: string, read: () => Promise<Data>, everyMs?: number): Answer<Data> {
  const data = useSignal<Data | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    let isOld = false;
    const take = async (): Promise<void> => {
      try {
        const answer = await read();
        if (isOld) return;
        data.value = answer;
        problem.value = undefined;
      } catch (error) {
        // The header reports a lost connection, and the next read may succeed.
        const isRepeated = everyMs !== undefined && !isLive.peek();
        if (!isOld && !isRepeated) problem.value = messageOf(error);
      }
    };
    void take();
    const timer = everyMs === undefined ? undefined : setInterval(() => void take(), everyMs);
    return () => {
      isOld = true;
      clearInterval(timer);
    };
    // `read` belongs to `key`.
  }, [key, everyMs, data, problem]);
  return { data, problem };
}
