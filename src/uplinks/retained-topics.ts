import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { mqttConnectionOptions, randomClientId } from '../protocols/mqtt/mqtt-config.ts';
import { MqttConnection } from '../protocols/mqtt/mqtt-connection.ts';
import type { PublishConfig } from './publish-config.ts';

/** Time for the broker to send what it has retained, after it has answered the subscription. */
const COLLECT_MS = 2000;

/**
 * Returns the topics of retained messages that match the filters; empty if the broker does not allow to read them.
 *
 * Uses a connection of its own, because some brokers close one that subscribes without the right to.
 */
export async function retainedTopics(
  config: PublishConfig,
  filters: readonly string[],
  signal: AbortSignal,
  deps: Deps,
): Promise<ReadonlySet<string>> {
  const topics = new Set<string>();
  const isOver = new AbortController();
  const own = { ...config, clientId: undefined, cleanSession: true };
  const clientId = randomClientId(deps.random, 'retained');
  await using connection = new MqttConnection(mqttConnectionOptions(own, { name: 'publish-retained', clientId }), deps);
  const answered = Promise.withResolvers<void>();
  connection.onState((state) => {
    if (!state.connected) isOver.abort();
    if (!state.connected || state.subscribed) answered.resolve();
  });
  connection.subscribe(filters, (topic, payload, isRetained) => {
    if (isRetained && payload.length > 0) topics.add(topic);
  });
  signal.addEventListener('abort', () => answered.resolve());
  connection.start();
  await answered.promise;
  await sleep(deps.clock, COLLECT_MS, AbortSignal.any([signal, isOver.signal]));
  return topics;
}
