import { askLogin } from './login-request.ts';
import { activityHeaders } from './person.ts';

/** Longest wait for an answer: a request into a cut network gets none. */
const ANSWER_MS_MAX = 15_000;
const TOKEN = 'token';

/** A refused request, with the HTTP status and the agent's own text. */
class ApiError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/**
 * Sends a request. Shows the login if the agent needs one, and repeats the request after it.
 *
 * @throws {ApiError} if the agent refuses the request.
 * @throws {Error} without an answer.
 */
export async function api(path: string, options: RequestInit = {}): Promise<Response> {
  // Without a limit of its own a request would wait for ever in a cut network.
  const signal = options.signal ?? AbortSignal.timeout(ANSWER_MS_MAX);
  const own = options.headers as Record<string, string> | undefined;
  const headers = { ...own, ...tokenHeaders(), ...activityHeaders() };
  const answer = await fetch(path, { ...options, headers, signal });
  if (answer.ok) return answer;
  const text = await errorText(answer);
  if (answer.status !== 401) throw new ApiError(answer.status, text);
  await askLogin(text);
  // A new limit: a person takes longer than the old one to log in.
  const { signal: _old, ...rest } = options;
  return api(path, rest);
}

/** Reads JSON with GET. */
export async function readJson<Answer>(path: string): Promise<Answer> {
  return (await (await api(path)).json()) as Answer;
}

/** Sends JSON with POST. */
export async function sendJson<Answer>(path: string, body: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return (await (await api(path, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Answer;
}

/** Keeps the token for an agent without users, in this tab; undefined forgets it. */
export function keepToken(token: string | undefined): void {
  if (token === undefined) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
}

export function tokenHeaders(): Readonly<Record<string, string>> {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** Returns the agent's own text for a refused request. */
export async function errorText(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { readonly error: string }).error;
  } catch {
    return `HTTP ${answer.status}`;
  }
}
