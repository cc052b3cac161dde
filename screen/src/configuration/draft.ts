import { computed, effect, signal } from '@preact/signals';
import { api, readJson, sendJson } from '../agent/agent-api.ts';
import type { Configuration, ConfigurationProblem } from '../agent/api-types.ts';
import { session } from '../agent/session.ts';
import { messageOf } from '../agent/message-of.ts';

const PATH = '/api/v1/configuration';
const FOLLOW_MS = 500;
const CHECK_DELAY_MS = 400;
/** A busy agent may take longer for its first check than a request waits. */
const CHECK_AGAIN_MS = 5000;

/** The file, as the agent sent it last. */
export const configuration = signal<Configuration | undefined>(undefined);
/** Text under edit; undefined while nothing was changed. */
const draft = signal<string | undefined>(undefined);
/** The file that the draft started from. */
const base = signal<Pick<Configuration, 'text' | 'version'> | undefined>(undefined);
/** Why the last request failed; undefined if it did not. */
export const problem = signal<string | undefined>(undefined);

/** Problems of a text, once the agent has checked it. */
const checked = signal<{ readonly text: string; readonly problems: readonly ConfigurationProblem[] } | undefined>(
  undefined,
);

export const text = computed(() => draft.value ?? configuration.value?.text ?? '');
export const baseText = computed(() => base.value?.text ?? '');
export const isChanged = computed(() => draft.value !== undefined && draft.value !== baseText.value);
/** True if the file has changed since the draft was started. */
export const isOutdated = computed(() => isChanged.value && base.value?.version !== configuration.value?.version);
export const isEditable = computed(
  () => configuration.value?.read_only === null && session.value.permissions.includes('configure'),
);
export const isApplying = computed(() => configuration.value?.last_apply?.state === 'applying');
/** Problems of the text; of an earlier one until the agent has checked it. */
export const problems = computed(() => checked.value?.problems ?? []);
export const isChecked = computed(() => checked.value?.text === text.value);
export const isValid = computed(
  () => isChecked.value && problems.value.every(({ severity }) => severity === 'warning'),
);

/** Reads the file. A draft stays. */
export async function readConfiguration(): Promise<void> {
  const answer = await attempt(() => readJson<Configuration>(PATH));
  if (answer === undefined) return;
  configuration.value = answer;
  if (!isChanged.value) takeFile();
}

/** Makes the file of now the start of the draft. */
export function rebase(): void {
  base.value = configuration.value;
}

/** Drops the draft. */
export function takeFile(): void {
  base.value = configuration.value;
  draft.value = undefined;
}

export function edit(next: string): void {
  draft.value = next;
}

/** Replaces the file by the draft, and waits for the result of the reload. @returns False if nothing was changed. */
export async function apply(): Promise<boolean> {
  const headers = { 'content-type': 'application/json', 'if-match': `"${base.value?.version ?? ''}"` };
  const body = JSON.stringify({ text: text.value });
  const answer = await attempt(() => api(PATH, { method: 'PUT', headers, body }));
  if (answer === undefined) {
    const refusal = problem.value;
    await readConfiguration();
    problem.value = refusal;
    return false;
  }
  const applied = draft.value;
  await follow();
  // The text of a reverted change stays in the editor.
  if (configuration.value?.text === applied) takeFile();
  else rebase();
  return true;
}

async function follow(): Promise<void> {
  do {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    await readConfiguration();
  } while (isApplying.value || problem.value !== undefined);
}

/** Checks the text shortly after it was changed, and again if there is no answer. Returns a function that ends this. */
export function checkWhileEditing(): () => void {
  let latest = 0;
  const checkUntilAnswered = async (present: string, own: number): Promise<void> => {
    for (let delayMs = CHECK_DELAY_MS; ; delayMs = CHECK_AGAIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      if (own !== latest || (await check(present))) return;
    }
  };
  const end = effect(() => {
    const present = text.value;
    latest += 1;
    if (session.value.permissions.includes('configure') && present !== '') void checkUntilAnswered(present, latest);
  });
  return () => {
    latest += 1;
    end();
  };
}

/** @returns False without an answer. */
async function check(present: string): Promise<boolean> {
  const answer = await attempt(() =>
    sendJson<{ readonly problems: readonly ConfigurationProblem[] }>(`${PATH}/check`, { text: present }),
  );
  if (answer !== undefined && text.value === present) checked.value = { text: present, problems: answer.problems };
  return answer !== undefined;
}

async function attempt<Answer>(request: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    const answer = await request();
    problem.value = undefined;
    return answer;
  } catch (error) {
    problem.value = messageOf(error);
    return undefined;
  }
}
