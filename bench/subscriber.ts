import { connectAsync, type MqttClient } from 'mqtt';
import { servePeer } from './peer.ts';
import { machineMs, unitOf, verdictTopic } from './workload.ts';

/** Received messages as columns; `counters` has the scores, which identify the state of the plant. */
export type Messages = {
  readonly units: Int32Array;
  readonly counters: Float64Array;
  readonly timesMs: Float64Array;
  /** Messages without a score: windows that were not judged. */
  readonly unknown: number;
};

export type SubscriberProtocol = {
  readonly subscribe: { readonly params: { readonly url: string }; readonly result: undefined };
  /** Returns the messages since the last call. */
  readonly takeMessages: { readonly params: undefined; readonly result: Messages };
};

let client: MqttClient | undefined;
let units: number[] = [];
let counters: number[] = [];
let timesMs: number[] = [];
let unknown = 0;

servePeer<SubscriberProtocol>({
  subscribe: async ({ url }) => {
    client = await connectAsync(url);
    client.on('message', (topic, payload) => {
      const timeMs = machineMs();
      const { score } = JSON.parse(payload.toString()) as { readonly score: number | null };
      if (score === null) {
        unknown += 1;
        return;
      }
      units.push(unitOf(topic.slice(topic.lastIndexOf('/') + 1)));
      counters.push(score);
      timesMs.push(timeMs);
    });
    await client.subscribeAsync(verdictTopic('+', '+'), { qos: 1 });
    return undefined;
  },
  takeMessages: () => {
    const messages = {
      units: Int32Array.from(units),
      counters: Float64Array.from(counters),
      timesMs: Float64Array.from(timesMs),
      unknown,
    };
    units = [];
    counters = [];
    timesMs = [];
    unknown = 0;
    return messages;
  },
});
