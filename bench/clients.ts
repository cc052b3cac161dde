import { servePeer } from './peer.ts';
import { machineMs, MODEL, WATCHED_TAGS } from './workload.ts';

/*
 * Clients of the agent's inference endpoint, in a process of their own. Each sends one row, and the next one after the
 * answer.
 */
const CLIENTS = 4;
/** Pause between an answer and the next request of a client. */
const PAUSE_MS = 5;

export type ClientAnswer = {
  /** Time on the monotonic clock of the machine. */
  readonly askedMs: number;
  readonly answeredMs: number;
  /** HTTP status; 0 if the connection was lost. */
  readonly status: number;
  /** Error text of a failed request. */
  readonly error: string;
};

export type ClientsProtocol = {
  /** Sends requests until the process ends. */
  readonly start: { readonly params: { readonly url: string }; readonly result: undefined };
  /** Returns the answers since the last call. */
  readonly take: { readonly params: undefined; readonly result: readonly ClientAnswer[] };
};

const answers: ClientAnswer[] = [];
const data = Array.from({ length: WATCHED_TAGS }, (_, index) => index);
const inputs = [{ name: 'window', datatype: 'FP32', shape: [1, 1, WATCHED_TAGS], data }];
const body = JSON.stringify({ inputs });

servePeer<ClientsProtocol>({
  start: ({ url }) => {
    for (let client = 0; client < CLIENTS; client += 1) void askForEver(`${url}/v2/models/${MODEL}/infer`);
    return undefined;
  },
  take: () => answers.splice(0),
});

async function askForEver(url: string): Promise<never> {
  for (;;) {
    answers.push(await ask(url));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function ask(url: string): Promise<ClientAnswer> {
  const askedMs = machineMs();
  try {
    const answer = await fetch(url, { method: 'POST', body });
    const text = await answer.text();
    return { askedMs, answeredMs: machineMs(), status: answer.status, error: answer.ok ? '' : text };
  } catch (error) {
    return { askedMs, answeredMs: machineMs(), status: 0, error: String(error) };
  }
}
