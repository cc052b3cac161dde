import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { sendJson } from '../agent/agent-api.ts';
import { nowMs, watches } from '../agent/agent-state.ts';
import { formatSpan } from '../texts/format.ts';
import { useModal } from '../parts/use-modal.ts';
import { t } from '../texts/language.ts';
import { changes } from './model-acts.ts';
import { messageOf } from '../agent/message-of.ts';

const HOUR_MS = 3_600_000;
const ranges = [1, 8, 24, 7 * 24, 30 * 24] as const;

/** Starts the training of the model of a watch. */
export function TrainDialog({ watch, onClose }: { readonly watch: string; readonly onClose: () => void }): JSX.Element {
  const dialog = useModal();
  const problem = useSignal<string | undefined>(undefined);
  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const hours = Number(form.get('range'));
    const from = hours === 0 ? {} : { from_ms: nowMs.value - hours * HOUR_MS };
    try {
      await sendJson('/api/v1/models/train', { watch: form.get('watch'), force: form.get('force') === 'on', ...from });
      changes.value += 1;
      onClose();
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="train-title" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="train-title">{t('models.train.title')}</h2>
        <label>
          {t('models.train.watch')}
          <select name="watch">
            {[...watches.value.values()].map(({ value }) => (
              <option key={value.watch} value={value.watch} selected={value.watch === watch}>
                {value.watch} → {value.model}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('models.train.range')}
          <select name="range">
            <option value="0">{t('models.train.all')}</option>
            {ranges.map((hours) => (
              <option key={hours} value={hours}>
                {formatSpan(hours * HOUR_MS)}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input type="checkbox" name="force" /> {t('models.train.force')}
        </label>
        <p>{t('models.train.note')}</p>
        <p role="status" class="problem reason">
          {problem}
        </p>
        <div class="buttons">
          <button type="submit" class="main">
            {t('models.train.submit')}
          </button>
          <button type="button" onClick={onClose}>
            {t('models.cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
