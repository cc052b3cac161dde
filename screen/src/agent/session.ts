import { computed, signal } from '@preact/signals';
import { errorText, keepToken, tokenHeaders } from './agent-api.ts';
import type { Session } from './api-types.ts';
import { activityHeaders } from './person.ts';

const ANSWER_MS_MAX = 15_000;

/** Login of this page, and what it may do. */
export const session = signal<Session>({ user: null, role: null, permissions: [], login: false });
export const mayOperate = computed(() => session.value.permissions.includes('operate'));
export const mayManageModels = computed(() => session.value.permissions.includes('models'));

/** Logs in with user and password. @returns Why it failed; undefined if it worked. */
export async function logIn(user: string, password: string): Promise<string | undefined> {
  keepToken(undefined);
  const answer = await post('/api/v1/login', { user, password });
  if (!answer.ok) return errorText(answer);
  await readSession();
  return undefined;
}

/** Uses a token for all requests of this tab. @returns Why it failed; undefined if it works. */
export async function logInWithToken(token: string): Promise<string | undefined> {
  keepToken(token);
  const answer = await fetch('/api/v1/watches', { headers: tokenHeaders() });
  if (!answer.ok) {
    keepToken(undefined);
    return errorText(answer);
  }
  await readSession();
  return undefined;
}

export async function logOut(): Promise<void> {
  keepToken(undefined);
  await post('/api/v1/logout', {});
  location.reload();
}

/** Reads who is logged in. */
export async function readSession(): Promise<void> {
  const answer = await fetch('/api/v1/session', {
    headers: { ...tokenHeaders(), ...activityHeaders() },
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  if (answer.ok) session.value = (await answer.json()) as Session;
}

function post(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(path, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
}
