import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { formText } from '../parts/form-text.ts';
import { useModal } from '../parts/use-modal.ts';
import { formatPercent } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { carryOut, sendLong } from './model-acts.ts';
import { upload } from './upload.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

type Installed = {
  readonly model: string;
  readonly version: number;
  readonly already_installed: boolean;
  readonly activated: object | null;
};

/** Installs a package from a file of this device, or from a URL that the agent fetches. */
export function InstallDialog({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const dialog = useModal();
  const problem = useSignal<string | undefined>(undefined);
  const progress = useSignal<{ readonly text: string; readonly share: number | undefined } | undefined>(undefined);
  const cancelling = useRef(new AbortController());
  useEffect(() => {
    const { current } = cancelling;
    return () => current.abort();
  }, []);
  const report = (share: number): void => {
    progress.value =
      share < 1
        ? { text: t('models.install.sending', { share: formatPercent(share) }), share }
        : { text: t('models.install.verifying'), share: undefined };
  };
  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const file = form.get('file');
    const url = formText(form, 'url').trim();
    const sha256 = formText(form, 'sha256').trim();
    const query = new URLSearchParams({ activate: String(form.get('activate') === 'on') });
    const isFile = file instanceof File && file.size > 0;
    problem.value = isFile || url !== '' ? undefined : t('models.install.nothing');
    if (problem.value !== undefined) return;
    if (isFile && sha256 !== '') query.set('sha256', sha256);
    const path = `/api/v1/models/install?${query.toString()}`;
    progress.value = { text: t('models.install.fetching'), share: undefined };
    try {
      const text = isFile
        ? await upload(path, file, report, cancelling.current.signal)
        : await (await sendLong(path, { url, ...(sha256 === '' ? {} : { sha256 }) })).text();
      onClose();
      await carryOut('', async () => resultText(JSON.parse(text) as Installed));
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      progress.value = undefined;
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="install-title" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="install-title">{t('models.install.title')}</h2>
        <PackageFields />
        <div role="status">
          {progress.value !== undefined && (
            <p>
              <progress value={progress.value.share} /> {progress.value.text}
            </p>
          )}
          <Problem text={problem} />
        </div>
        <div class="buttons">
          <button type="submit" class="main" disabled={progress.value !== undefined}>
            {t('models.install.submit')}
          </button>
          <button type="button" onClick={onClose}>
            {t('models.cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function PackageFields(): JSX.Element {
  return (
    <>
      <label>
        {t('models.install.file')}
        <input type="file" name="file" accept=".tgz,.tar,.gz" />
      </label>
      <label>
        {t('models.install.url')}
        <input type="url" name="url" placeholder="https://" />
      </label>
      <label>
        {t('models.install.sha256')}
        <input name="sha256" pattern="[0-9a-fA-F]{64}" />
      </label>
      <label class="check">
        <input type="checkbox" name="activate" /> {t('models.install.activate')}
      </label>
    </>
  );
}

function resultText({ model, version, already_installed, activated }: Installed): string {
  if (activated !== null) return t('models.install.doneActive', { model, version });
  return t(already_installed ? 'models.install.already' : 'models.install.done', { model, version });
}
