import type { ComponentChildren, JSX } from 'preact';
import { useModal } from '../parts/use-modal.ts';
import { t } from '../texts/language.ts';

type ConfirmDialogProps = {
  readonly title: string;
  readonly action: string;
  readonly onConfirm: () => void;
  readonly onCancel: () => void;
  /** The consequences. */
  readonly children: ComponentChildren;
};

/** Asks before an act, with its consequences. Escape cancels. */
export function ConfirmDialog({ title, action, onConfirm, onCancel, children }: ConfirmDialogProps): JSX.Element {
  const dialog = useModal();
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={onCancel}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onConfirm();
        }}
      >
        <h2 id="confirm-title">{title}</h2>
        {children}
        <div class="buttons">
          <button type="submit" class="main">
            {action}
          </button>
          <button type="button" onClick={onCancel}>
            {t('models.cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
