// Server-sent events over fetch, as EventSource cannot send a token.

/** The agent sends a line every second. After this time without one, the connection is lost, also if no socket says so. */
const SILENCE_MS_MAX = 2500;

/**
 * Opens the event stream. Events from now on reach `take`.
 *
 * @param {(path: string, options: object) => Promise<Response>} api
 * @param {(type: string, data: any) => void} take
 * @returns {Promise<{ ended: Promise<void>, close: () => void }>} `ended` resolves or rejects when the connection is lost.
 */
export async function openStream(api, take) {
  const controller = new AbortController();
  const lost = () => controller.abort(new Error('the agent is silent'));
  let silence = setTimeout(lost, SILENCE_MS_MAX);
  try {
    const response = await api('/api/v1/events', { signal: controller.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    return { ended: read(reader), close: () => controller.abort() };
  } catch (error) {
    clearTimeout(silence);
    throw error;
  }

  async function read(reader) {
    try {
      for (let text = ''; ;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(lost, SILENCE_MS_MAX);
        const blocks = (text + value).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) parse(block);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  function parse(block) {
    const type = /^event: (.*)$/m.exec(block)?.[1];
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (type !== undefined && data !== undefined) take(type, JSON.parse(data));
  }
}
