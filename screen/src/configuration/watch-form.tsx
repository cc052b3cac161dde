import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { setQuery } from '../parts/router.ts';
import { t } from '../texts/language.ts';
import { entryOf, withEntry } from './document-edit.ts';
import { edit, text } from './draft.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

const learnTimes = ['1h', '8h', '24h', '3d', '7d'] as const;

/** Makes a watch that learns from the chosen tags. It changes the text; the person then compares and applies it. */
export function WatchForm({
  tags,
  onDone,
}: {
  readonly tags: readonly string[];
  readonly onDone: () => void;
}): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const { currentTarget } = event;
    const field = (name: string) => currentTarget.querySelector<HTMLInputElement>(`[name=${name}]`)?.value ?? '';
    const name = field('name').trim();
    try {
      if (entryOf(text.value, ['watches', name]) !== undefined) {
        problem.value = t('configuration.watchExists', { watch: name });
        return;
      }
      edit(withEntry(text.value, ['watches', name], { tags, learn: { for: field('for') } }));
      problem.value = undefined;
      onDone();
      setQuery({ tab: 'file' });
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <form class="panel watch-form" aria-labelledby="watch-title" onSubmit={submit}>
      <h2 id="watch-title">{t('configuration.newWatch')}</h2>
      <p class="hint">{tags.length === 0 ? t('configuration.chooseTags') : tags.join(', ')}</p>
      <label>
        {t('configuration.watchName')}
        <input name="name" required maxLength={128} pattern="[^+#\/$\s]([^+#\/]*[^+#\/\s])?" />
      </label>
      <label>
        {t('configuration.learnFor')}
        <select name="for">
          {learnTimes.map((time) => (
            <option key={time} value={time} selected={time === '24h'}>
              {time}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" disabled={tags.length === 0}>
        {t('configuration.addWatch')}
      </button>
      <Problem text={problem} />
    </form>
  );
}
