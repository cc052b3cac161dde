import type { TopicReading, TopicValue } from '../../contracts/source.ts';
import type { TopicReader } from '../topic-browser.ts';
import { decodeJson, decodeJsonValue, decodePlainValue, payloadText } from './payload-decode.ts';

/** Values of one payload: a list of 100,000 numbers is not a list of tags. */
const VALUES_MAX = 200;
const DEPTH_MAX = 16;
const PAYLOAD_SHOWN_MAX = 1000;
/** Replacement for bytes that are not UTF-8. */
const NOT_UTF8 = '\uFFFD';

/** Lists topics with each value of the last payload that can be a tag. */
export class PayloadReader implements TopicReader {
  readonly #last = new Map<string, { readonly messages: number; readonly payload: Buffer }>();

  accept(topic: string, payload: Buffer): void {
    const { messages = 0 } = this.#last.get(topic) ?? {};
    this.#last.set(topic, { messages: messages + 1, payload: Buffer.from(payload) });
  }

  topics(): readonly TopicReading[] {
    return [...this.#last].map(([topic, { messages, payload }]) => {
      const text = payloadText(payload);
      const shown = text.includes(NOT_UTF8) ? undefined : text.slice(0, PAYLOAD_SHOWN_MAX);
      return { topic, messages, payload: shown, values: topicValues(topic, text), unnamed: 0 };
    });
  }
}

/** Returns each value of a payload that can be a tag, in the order of the payload. */
export function topicValues(topic: string, text: string): readonly TopicValue[] {
  const levels = topic.split('/').filter(Boolean);
  const plain = decodePlainValue(text, undefined);
  if (plain !== undefined) return [{ name: levels.join('.'), value: plain, tag: { topic } }];
  const json = decodeJson(text);
  const found: TopicValue[] = [];
  if ('document' in json) visit(json.document, '$', levels, 0);
  return found;

  function visit(value: unknown, path: string, names: readonly string[], depth: number): void {
    if (found.length === VALUES_MAX || depth > DEPTH_MAX) return;
    const number = decodeJsonValue(value, undefined);
    if (number !== undefined) found.push({ name: names.join('.'), value: number, tag: { topic, value: path } });
    else if (Array.isArray(value))
      for (const [index, item] of value.slice(0, VALUES_MAX).entries())
        visit(item, `${path}[${index}]`, [...names, String(index)], depth + 1);
    else if (typeof value === 'object' && value !== null)
      for (const [key, item] of Object.entries(value)) visit(item, path + step(key), [...names, key], depth + 1);
  }
}

/** Returns the step of a JSONPath to a key. */
function step(key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `['${key.replaceAll(/['\\]/g, String.raw`\$&`)}']`;
}
