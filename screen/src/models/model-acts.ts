import { signal } from '@preact/signals';
import { api } from '../agent/agent-api.ts';
import { pathOf } from './model-directory.ts';
import { messageOf } from '../agent/message-of.ts';

/** Longest wait for an act: a large version on a busy box is proved for minutes. */
const ACT_MS_MAX = 900_000;

/** The act in progress; undefined for none. */
export const working = signal<string | undefined>(undefined);
/** Why the agent refused the last act; undefined if it did not. */
export const problem = signal<string | undefined>(undefined);
/** Result of the last act; undefined for none. */
export const done = signal<string | undefined>(undefined);
/** Counts acts that changed something, so that lists are read again. */
export const changes = signal(0);

/**
 * Carries out one act. `problem` has the agent's own text if it is refused.
 *
 * @param text Shown meanwhile.
 * @param run Returns the text of the result.
 * @returns True if the act succeeded.
 */
export async function carryOut(text: string, run: () => Promise<string>): Promise<boolean> {
  working.value = text;
  problem.value = undefined;
  done.value = undefined;
  try {
    done.value = await run();
    changes.value += 1;
    return true;
  } catch (error) {
    problem.value = messageOf(error);
    return false;
  } finally {
    working.value = undefined;
  }
}

/** Forgets the results of acts, for another model. */
export function forgetResults(): void {
  problem.value = undefined;
  done.value = undefined;
}

/** Sends an act on a model, such as `activate`. */
export function sendAct(model: string, act: string, body: object = {}): Promise<Response> {
  return sendLong(`${pathOf(model)}/${act}`, body);
}

/** Deletes a version; `force` also the one that a rollback would activate. */
export function removeVersion(model: string, version: number, force: boolean): Promise<Response> {
  const query = force ? '?force=true' : '';
  const limit = { signal: AbortSignal.timeout(ACT_MS_MAX) };
  return api(`${pathOf(model)}/versions/${version}${query}`, { method: 'DELETE', ...limit });
}

/** Sends JSON whose answer may take minutes. */
export function sendLong(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return api(path, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(ACT_MS_MAX) });
}
