import { qualityOf, reasonOf } from '../../src/domain/sample/quality.ts';
import { decodeMessage } from '../../src/sources/mqtt/message-decode.ts';
import { mqttKind } from '../../src/sources/mqtt/mqtt-kind.ts';
import { TopicRouter } from '../../src/sources/mqtt/topic-router.ts';

type DecodedSample = {
  readonly tag: string;
  readonly value: number;
  readonly timeMs: number;
  readonly quality: string;
  readonly reason: string;
};

/** Decodes payloads of one topic. @returns The last sample of each tag, all samples, and the fault of the last payload. */
export function decodePayloads(
  payloads: readonly (string | Buffer)[],
  tags: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  nowMs: number,
) {
  const names = Object.keys(tags);
  const entries = Object.entries(tags).map(([name, tag]) => [name, { topic: 'a', ...tag }]);
  const config = mqttKind.schema.parse({ type: 'mqtt', url: 'mqtt://b', tags: Object.fromEntries(entries) });
  const tagNumbers = new Map(names.map((name, index) => [name, index]));
  const router = new TopicRouter({ config, tagNumbers, bindTag: () => 'too-many' });
  const plan = router.find('a', () => undefined);
  if (plan === undefined) throw new Error('No plan for the topic');
  const all: DecodedSample[] = [];
  let fault: string | undefined;
  for (const payload of payloads)
    fault = decodeMessage(
      plan,
      Buffer.from(payload),
      { timeMs: nowMs, retain: false, futureToleranceMs: 5000 },
      (batch) => {
        for (let index = 0; index < batch.length; index += 1)
          all.push({
            tag: names[batch.tags[index] ?? -1] ?? '?',
            value: batch.values[index] ?? Number.NaN,
            timeMs: batch.timesMs[index] ?? Number.NaN,
            quality: qualityOf(batch.qualities[index] ?? 2),
            reason: reasonOf(batch.reasons[index] ?? 0),
          });
      },
    )?.text;
  const samples = Object.fromEntries(all.map((sample) => [sample.tag, sample]));
  return { samples, all, fault };
}
