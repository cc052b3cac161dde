// Requests to the agent, with a login if one is needed.
import { element } from './page-elements.js';

/** Longest wait for an answer: a request into a cut network gets none. */
const ANSWER_MS_MAX = 15_000;

/** Sends a request. Asks for a login if the agent needs one, and throws with the reason if the user gives none. */
export async function api(path, options = {}) {
  const token = sessionStorage.getItem('token');
  const headers = { ...options.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  const signal = options.signal ?? AbortSignal.timeout(ANSWER_MS_MAX);
  const answer = await fetch(path, { ...options, headers, signal });
  if (answer.ok) return answer;
  const { error } = await answer.json();
  if (answer.status !== 401) throw new Error(error);
  await logIn(error);
  return api(path, { ...options, signal: undefined });
}

export const json = async (path) => (await api(path)).json();

let asking;
/** One dialog for all requests that need a login. */
function logIn(reason) {
  asking ??= ask(reason).finally(() => (asking = undefined));
  return asking;
}

/** With users, the agent sets a cookie; without, the token goes with each request of this tab. */
async function ask(reason) {
  const { login } = await (await fetch('/api/v1/session')).json();
  const dialog = element('login');
  element('login-reason').textContent = reason;
  for (const node of dialog.querySelectorAll('[data-for]')) node.hidden = (node.dataset.for === 'users') !== login;
  dialog.returnValue = '';
  const closed = new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  dialog.showModal();
  await closed;
  const secret = element('secret').value;
  element('secret').value = '';
  if (dialog.returnValue !== 'log-in') throw new Error(reason);
  sessionStorage.removeItem('token');
  if (!login) return sessionStorage.setItem('token', secret);
  const body = JSON.stringify({ user: element('user').value, password: secret });
  const answer = await fetch('/api/v1/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return answer.ok ? undefined : ask((await answer.json()).error);
}
