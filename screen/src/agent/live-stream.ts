import { api } from './agent-api.ts';
import type { AgentEvent } from './api-types.ts';

/** The agent sends a line every second. After this time without one, the connection is lost, also if no socket was closed. */
const SILENCE_MS_MAX = 2500;

export type LiveStream = {
  /** True if the agent sends every event after `lastId`. */
  readonly isResumed: boolean;
  /** Id of the event before the first one of this stream. */
  readonly startId: string | undefined;
  /** Resolves or rejects when the connection is lost. */
  readonly ended: Promise<void>;
  close(): void;
};

export type StreamOptions = {
  /** Id of the last event of an earlier stream; undefined starts without the events before. */
  readonly lastId: string | undefined;
  /** Receives each event with its id. */
  readonly take: (event: AgentEvent, id: string) => void;
  /** Is called whenever something arrives. */
  readonly alive: () => void;
};

/** Opens the event stream, and resolves with its first block. It uses fetch, because EventSource cannot send a token. */
export async function openStream({ lastId, take, alive }: StreamOptions): Promise<LiveStream> {
  const controller = new AbortController();
  const lost = (): void => controller.abort(new Error('the agent is silent'));
  let silence = setTimeout(lost, SILENCE_MS_MAX);
  try {
    const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
    const { body } = await api('/api/v1/events', { signal: controller.signal, headers });
    if (body === null) throw new Error('the event stream has no body');
    const blocks = read(body.pipeThrough(new TextDecoderStream()).getReader());
    const first = await blocks.next();
    const start = first.done === true ? '' : first.value;
    return {
      isResumed: lastId !== undefined && fieldOf(start, 'event') !== 'gap',
      startId: fieldOf(start, 'id'),
      ended: follow(blocks),
      close: () => controller.abort(),
    };
  } catch (error) {
    clearTimeout(silence);
    throw error;
  }

  async function follow(blocks: AsyncGenerator<string>): Promise<void> {
    try {
      for await (const block of blocks) {
        const event = parseEvent(block);
        if (event !== undefined) take(event as AgentEvent, event.id);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  async function* read(reader: ReadableStreamDefaultReader<string>): AsyncGenerator<string> {
    for (let text = ''; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(lost, SILENCE_MS_MAX);
      alive();
      const parts = (text + value).split('\n\n');
      text = parts.pop() ?? '';
      yield* parts;
    }
  }
}

type ParsedEvent = { readonly type: string; readonly id: string; readonly data: unknown };

function parseEvent(block: string): ParsedEvent | undefined {
  const [type, id, data] = [fieldOf(block, 'event'), fieldOf(block, 'id'), fieldOf(block, 'data')];
  if (type === undefined || id === undefined || data === undefined) return undefined;
  return { type, id, data: JSON.parse(data) };
}

function fieldOf(block: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
}
