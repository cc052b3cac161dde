import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { loginRequest } from '../agent/login-request.ts';
import { logIn, logInWithToken, session } from '../agent/session.ts';
import { formText } from './form-text.ts';
import { t } from '../texts/language.ts';
import { messageOf } from '../agent/message-of.ts';

/** The login, while a request needs it or a person asks for it. */
export function LoginDialog(): JSX.Element | null {
  const request = loginRequest.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const problem = useSignal<string | undefined>(undefined);
  useLayoutEffect(() => {
    problem.value = request?.reason === undefined ? undefined : t('login.needed');
    if (request !== undefined) dialog.current?.showModal();
  }, [request, problem]);
  if (request === undefined) return null;
  const withUsers = session.value.login;
  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const secret = formText(form, 'secret');
    try {
      const why = withUsers ? await logIn(formText(form, 'user'), secret) : await logInWithToken(secret);
      if (why === undefined) request.settle(true);
      else problem.value = why;
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <dialog ref={dialog} class="login" aria-labelledby="login-title" onClose={() => request.settle(false)}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="login-title">{t('login.title')}</h2>
        <p id="login-reason" role="status">
          {problem}
        </p>
        {withUsers && (
          <label>
            {t('login.user')}
            <input name="user" autocomplete="username" required />
          </label>
        )}
        <label>
          {withUsers ? t('login.password') : t('login.token')}
          <input name="secret" type="password" autocomplete="current-password" required />
        </label>
        <div class="buttons">
          <button type="submit" class="main">
            {t('login.submit')}
          </button>
          <button type="button" onClick={() => request.settle(false)}>
            {t('login.cancel')}
          </button>
        </div>
      </form>
    </dialog>
  );
}
