import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useModal } from '../parts/use-modal.ts';
import { t } from '../texts/language.ts';
import { apply, baseText, configuration, isOutdated, isValid, problem, problems, rebase, text } from './draft.ts';
import { lineDiff } from './line-diff.ts';
import { ProblemList } from './problem-list.tsx';

/** The changed lines, and the button that applies them. */
export function ApplyDialog({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const dialog = useModal();
  const isBusy = useSignal(false);
  const submit = async (): Promise<void> => {
    isBusy.value = true;
    if (await apply()) onClose();
    isBusy.value = false;
  };
  const revertAfterMs = configuration.value?.revert_after_ms;
  return (
    <dialog ref={dialog} class="apply" aria-labelledby="apply-title" onClose={onClose}>
      <h2 id="apply-title">{t('configuration.changes')}</h2>
      <DiffTable before={baseText.value} after={text.value} />
      {problems.value.length > 0 && <ProblemList problems={problems.value} />}
      {isOutdated.value && (
        <p class="problem" role="alert">
          {t('configuration.outdated')}{' '}
          <button type="button" onClick={rebase}>
            {t('configuration.rebase')}
          </button>
        </p>
      )}
      {problem.value !== undefined && !isOutdated.value && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      <p class="hint">
        {revertAfterMs === null || revertAfterMs === undefined
          ? t('configuration.noRevert')
          : t('configuration.revert', { seconds: revertAfterMs / 1000 })}
      </p>
      <div class="buttons">
        <button
          type="button"
          class="main"
          id="apply"
          disabled={isBusy.value || !isValid.value || isOutdated.value}
          onClick={() => void submit()}
        >
          {isBusy.value ? t('configuration.applying') : t('configuration.apply')}
        </button>
        <button type="button" onClick={() => dialog.current?.close()}>
          {t('configuration.back')}
        </button>
      </div>
    </dialog>
  );
}

function DiffTable({ before, after }: { readonly before: string; readonly after: string }): JSX.Element {
  const lines = lineDiff(before, after);
  if (lines.length === 0) return <p class="empty">{t('configuration.noChanges')}</p>;
  return (
    <div class="scroll diff" tabIndex={0} role="group" aria-label={t('configuration.changes')}>
      <table id="diff">
        <thead class="unseen">
          <tr>
            <th scope="col">{t('configuration.oldLine')}</th>
            <th scope="col">{t('configuration.newLine')}</th>
            <th scope="col">{t('configuration.change')}</th>
            <th scope="col">{t('configuration.text')}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ kind, old, next, text: line }, index) => (
            <tr key={index} data-kind={kind}>
              <td class="number">{old}</td>
              <td class="number">{next}</td>
              <td>
                {kind === 'added' && <ins>+</ins>}
                {kind === 'removed' && <del>−</del>}
              </td>
              <td>
                <code>{line}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
