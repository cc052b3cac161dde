import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { sendJson } from '../agent/agent-api.ts';
import type { TagTable } from '../agent/api-types.ts';
import { useModal } from '../parts/use-modal.ts';
import { t } from '../texts/language.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

/** Takes a table of tags from a spreadsheet or a tag file. The agent reads it as it reads a tag file. */
export function PasteDialog({
  type,
  known,
  onTake,
  onClose,
}: {
  readonly type: string;
  /** Names of the present tags. */
  readonly known: ReadonlySet<string>;
  /** @returns False if the text is not changed. */
  readonly onTake: (tags: TagTable['tags']) => boolean;
  readonly onClose: () => void;
}): JSX.Element {
  const dialog = useModal();
  const table = useSignal<TagTable | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const read = async (text: string): Promise<void> => {
    try {
      table.value = await sendJson<TagTable>('/api/v1/configuration/tags', { type, text });
      problem.value = undefined;
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    if (table.value === undefined) void read(event.currentTarget.querySelector('textarea')?.value ?? '');
    else if (onTake(table.value.tags)) dialog.current?.close();
  };
  const { tags = [], problems = [] } = table.value ?? {};
  const isReady = tags.length > 0 && problems.length === 0;
  const changed = tags.filter(({ name }) => known.has(name)).length;
  return (
    <dialog ref={dialog} class="apply" aria-labelledby="paste-title" onClose={onClose}>
      <h2 id="paste-title">{t('configuration.pasteTitle')}</h2>
      <p class="hint">{t('configuration.pasteHint')}</p>
      <form onSubmit={submit}>
        <label>
          {t('configuration.cells')}
          <textarea rows={12} spellcheck={false} required onInput={() => (table.value = undefined)} />
        </label>
        <Problem text={problem} />
        {problems.length > 0 && (
          <ul class="problems" id="paste-problems" aria-label={t('configuration.problems')}>
            {problems.map(({ line, message }, index) => (
              <li key={index} data-severity="error">
                <b>{t('configuration.line', { line })}</b> <span>{message}</span>
              </li>
            ))}
          </ul>
        )}
        {isReady && (
          <p id="paste-count" role="status">
            {t('configuration.pasteCount', { added: tags.length - changed, changed })}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class="main" disabled={table.value !== undefined && !isReady}>
            {isReady ? t('configuration.take') : t('configuration.readCells')}
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            {t('configuration.back')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
