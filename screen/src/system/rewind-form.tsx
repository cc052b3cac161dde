import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { sendJson } from '../agent/agent-api.ts';
import { nowMs } from '../agent/agent-state.ts';
import { localTimeText } from '../parts/local-time.ts';
import { formatDateTime, formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { messageOf } from '../agent/message-of.ts';

const DAY_MS = 86_400_000;

type Rewound = { readonly from_ms: number; readonly waiting: number; readonly waited_before: number };

/** Sends records of an uplink again from a time on, after a second press. */
export function RewindForm({ uplink }: { readonly uplink: string }): JSX.Element {
  const from = useSignal(localTimeText(nowMs.peek() - DAY_MS));
  const isAsking = useSignal(false);
  const isSending = useSignal(false);
  const result = useSignal('');
  const fromMs = Date.parse(from.value);
  const send = async (): Promise<void> => {
    isSending.value = true;
    try {
      const path = `/api/v1/uplinks/${encodeURIComponent(uplink)}/rewind`;
      const { from_ms, waiting, waited_before } = await sendJson<Rewound>(path, { from_ms: fromMs });
      const count = formatNumber(waiting - waited_before);
      result.value = t('system.rewound', { count, time: formatDateTime(from_ms) });
    } catch (error) {
      result.value = messageOf(error);
    } finally {
      isSending.value = false;
      isAsking.value = false;
    }
  };
  return (
    <details class="rewind">
      <summary>{t('system.rewind')}</summary>
      <p>{t('system.rewindHint')}</p>
      <input
        type="datetime-local"
        step="1"
        value={from}
        aria-label={t('system.rewindFrom')}
        onInput={(event) => {
          from.value = event.currentTarget.value;
          isAsking.value = false;
        }}
      />
      {isAsking.value ? (
        <>
          <span>{t('system.rewindAsk', { uplink, time: formatDateTime(fromMs) })}</span>
          <button type="button" class="main" disabled={isSending} onClick={() => void send()}>
            {t('system.rewindNow')}
          </button>
          <button type="button" onClick={() => (isAsking.value = false)}>
            {t('login.cancel')}
          </button>
        </>
      ) : (
        <button type="button" disabled={Number.isNaN(fromMs)} onClick={() => (isAsking.value = true)}>
          {t('system.rewind')}
        </button>
      )}
      <p role="status">{result}</p>
    </details>
  );
}
