import type { TopicBrowse, TopicListing, TopicReading } from '../contracts/source.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { Metrics } from '../platform/metrics.ts';
import { type MqttConfig, mqttConnectionOptions, randomClientId } from '../protocols/mqtt/mqtt-config.ts';
import { MqttConnection, type MqttState } from '../protocols/mqtt/mqtt-connection.ts';
import { mqttFailure } from '../protocols/mqtt/mqtt-errors.ts';

const TOPICS_MAX = 1000;
const VALUES_MAX = 5000;
/** A busy broker must not cost the agent a core or its memory for the whole time. */
const MESSAGES_MAX = 10_000;
const BYTES_MAX = 16_000_000;

/** Makes a listing of what is received. */
export interface TopicReader {
  /** @param payload Valid during the call. */
  accept(topic: string, payload: Buffer): void;
  topics(): readonly TopicReading[];
}

/**
 * Listens to a broker for a person who looks for tags: one listing at a time, over a connection with a client id of its own. A
 * further subscription on the connection of the source would repeat retained messages to its tags. Publishes nothing.
 */
export class TopicBrowser implements AsyncDisposable {
  readonly #deps: Deps;
  /** Ends the listing under way. */
  readonly #ending = new AbortController();
  #listing: Promise<unknown> | undefined;

  constructor(deps: Deps) {
    // The metrics of the source do not count the messages of the browser.
    this.#deps = { ...deps, metrics: new Metrics() };
  }

  /** @throws {OperatingError} 'mqtt-browser-busy', 'mqtt-browse-failed' (retry). */
  async browse(
    config: MqttConfig,
    request: TopicBrowse & { readonly filter: string },
    reader: TopicReader,
  ): Promise<TopicListing> {
    if (this.#listing !== undefined || this.#ending.signal.aborted)
      throw mqttFailure('mqtt-browser-busy', 'Another page lists the topics of this source; try again later');
    const listing = this.#listen(config, request, reader);
    this.#listing = listing.catch(() => undefined);
    try {
      const isComplete = await listing;
      const topics = reader.topics().toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
      const shown = limited(topics);
      return { topics: shown, isComplete: isComplete && shown.length === topics.length };
    } finally {
      this.#listing = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#listing;
  }

  /** @returns False if a limit was reached. */
  async #listen(
    config: MqttConfig,
    { filter, forMs }: TopicBrowse & { readonly filter: string },
    reader: TopicReader,
  ): Promise<boolean> {
    const clientId = randomClientId(this.#deps.random, 'browser');
    const own = { ...config, clientId: undefined, cleanSession: true };
    const options = mqttConnectionOptions(own, { name: 'browser', clientId });
    await using connection = new MqttConnection(options, this.#deps);
    const full = new AbortController();
    const topics = new Set<string>();
    let [messages, bytes] = [0, 0];
    connection.subscribe(
      [filter],
      (topic, payload) => {
        messages += 1;
        bytes += payload.length;
        topics.add(topic);
        if (messages > MESSAGES_MAX || bytes > BYTES_MAX || topics.size > TOPICS_MAX) full.abort();
        else reader.accept(topic, payload);
      },
      0,
    );
    const signal = AbortSignal.any([this.#ending.signal, full.signal]);
    const subscribed = subscription(connection, signal);
    connection.start();
    await subscribed;
    await sleep(this.#deps.clock, forMs, signal);
    return !full.signal.aborted;
  }
}

/** Resolves with the answer to the subscription. @throws {OperatingError} 'mqtt-browse-failed'. */
function subscription(connection: MqttConnection, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.onState((state) => {
    const reason = failureOf(state);
    if (reason !== undefined) reject(mqttFailure('mqtt-browse-failed', reason));
    else if (state.subscribed) resolve();
  });
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}

function failureOf({ connected, subscribed, refusedTopics, reason }: MqttState): string | undefined {
  if (!connected || (subscribed && refusedTopics.length > 0)) return reason;
  return undefined;
}

/** Returns the first topics, with at most `VALUES_MAX` values together. */
function limited(topics: readonly TopicReading[]): readonly TopicReading[] {
  let values = 0;
  return topics.filter((topic) => (values += topic.values.length) <= VALUES_MAX);
}
