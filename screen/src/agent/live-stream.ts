import { api } from './agent-api.ts';
import type { AgentEvent } from './api-types.ts';

/** The agent sends a line every second. After this time without one, the connection is lost, also if no socket was closed. */
const SILENCE_MS_MAX = 2500;

export type LiveStream = {
  /** Resolves or rejects when the connection is lost. */
  readonly ended: Promise<void>;
  close(): void;
};

/**
 * Opens the event stream. It uses fetch, because EventSource cannot send a token.
 *
 * @param take Receives each event.
 * @param alive Is called whenever something arrives.
 */
export async function openStream(take: (event: AgentEvent) => void, alive: () => void): Promise<LiveStream> {
  const controller = new AbortController();
  const lost = (): void => controller.abort(new Error('the agent is silent'));
  let silence = setTimeout(lost, SILENCE_MS_MAX);
  try {
    const { body } = await api('/api/v1/events', { signal: controller.signal });
    if (body === null) throw new Error('the event stream has no body');
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    return { ended: read(reader), close: () => controller.abort() };
  } catch (error) {
    clearTimeout(silence);
    throw error;
  }

  async function read(reader: ReadableStreamDefaultReader<string>): Promise<void> {
    try {
      for (let text = ''; ;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(lost, SILENCE_MS_MAX);
        alive();
        const blocks = (text + value).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) parseEvent(block, take);
      }
    } finally {
      clearTimeout(silence);
    }
  }
}

function parseEvent(block: string, take: (event: AgentEvent) => void): void {
  const type = /^event: (.*)$/m.exec(block)?.[1];
  const data = /^data: (.*)$/m.exec(block)?.[1];
  if (type !== undefined && data !== undefined) take({ type, data: JSON.parse(data) } as AgentEvent);
}
