import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { api } from '../agent/agent-api.ts';
import { downloadBlob } from '../parts/csv.ts';
import { t } from '../texts/language.ts';
import { messageOf } from '../agent/message-of.ts';

const PASSPHRASE_LENGTH_MIN = 12;
/** A large history takes minutes to copy and to pack. */
const ANSWER_MS_MAX = 3_600_000;

/** Downloads what `andon backup` writes. */
export function BackupPanel(): JSX.Element {
  const passphrase = useSignal('');
  const history = useSignal(true);
  const isRunning = useSignal(false);
  const result = useSignal('');
  const isTooShort = passphrase.value !== '' && passphrase.value.length < PASSPHRASE_LENGTH_MIN;
  const start = async (): Promise<void> => {
    isRunning.value = true;
    result.value = t('system.backupRuns');
    try {
      const secret = passphrase.value === '' ? {} : { passphrase: passphrase.value };
      const answer = await api('/api/v1/backup', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ history: history.value, ...secret }),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
      const name = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') ?? '')?.[1] ?? 'andon.tar.gz';
      downloadBlob(name, await answer.blob());
      result.value = t('system.backupDone', { name });
      passphrase.value = '';
    } catch (error) {
      result.value = messageOf(error);
    } finally {
      isRunning.value = false;
    }
  };
  return (
    <section class="panel" aria-labelledby="backup-title">
      <h2 id="backup-title">{t('system.backup')}</h2>
      <p class="hint">{t('system.backupHint')}</p>
      <div class="tools">
        <label>
          {t('system.passphrase')}{' '}
          <input
            type="password"
            autoComplete="new-password"
            value={passphrase}
            onInput={(event) => (passphrase.value = event.currentTarget.value)}
          />
        </label>
        <label>
          <input
            type="checkbox"
            checked={history}
            onChange={(event) => (history.value = event.currentTarget.checked)}
          />
          {t('system.backupHistory')}
        </label>
        <button type="button" class="main" disabled={isRunning.value || isTooShort} onClick={() => void start()}>
          {t('system.backupStart')}
        </button>
      </div>
      <p role="status">{isTooShort ? t('system.passphraseShort', { count: PASSPHRASE_LENGTH_MIN }) : result}</p>
    </section>
  );
}
