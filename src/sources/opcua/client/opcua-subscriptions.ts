import {
  AttributeIds,
  type ClientMonitoredItemBase,
  ClientMonitoredItemGroup,
  type ClientSession,
  type ClientSubscription,
  coerceNodeId,
  DataChangeFilter,
  DataChangeTrigger,
  type DataValue,
  DeadbandType,
  type MonitoringParametersOptions,
  type NodeId,
  type ReadValueIdOptions,
  type StatusCode,
  TimestampsToReturn,
} from 'node-opcua-client';
import type { OpcuaItem, OpcuaJob } from '../opcua-protocol.ts';
import { nodeIdOf } from './node-id.ts';

/** Items of one request, if the server states no lower limit. */
const ITEMS_PER_REQUEST_MAX = 1000;
/** Limits of the server: MaxNodesPerRead and MaxMonitoredItemsPerCall. */
const OPERATION_LIMITS = ['i=11705', 'i=11714'];
/** A subscription without publish requests for this long is deleted by the server. */
const LIFETIME_MS = 60_000;
/** Number of keep-alive intervals after which a subscription is dead. */
const SILENT_INTERVALS = 3;
const SERVER_TIME = 'i=2258';

export type SubscriptionEvents = {
  /** A value of an item of the job. */
  readonly onValue: (item: number, dataValue: DataValue) => void;
  /** A message of the subscription with this requested interval has been read: its values were reported. */
  readonly onMessage: (publishingMs: number) => void;
  readonly onServerTime: (serverMs: number) => void;
  readonly onLost: (reason: string) => void;
};

/** The subscriptions of a session: one for each publishing interval. */
export class OpcuaSubscriptions {
  readonly #session: ClientSession;
  readonly #items: readonly OpcuaItem[];
  readonly #events: SubscriptionEvents;
  readonly #subscriptions = new Map<number, ClientSubscription>();
  readonly #refused = new Map<number, string>();
  #itemsPerRequest = ITEMS_PER_REQUEST_MAX;

  constructor(session: ClientSession, { items }: Pick<OpcuaJob, 'items'>, events: SubscriptionEvents) {
    this.#session = session;
    this.#items = items;
    this.#events = events;
  }

  /** @returns Silence after which a subscription is dead, ms, by its requested interval. */
  async open(): Promise<ReadonlyMap<number, number>> {
    this.#itemsPerRequest = await this.#readLimit();
    const intervals = new Set(this.#items.map(({ publishingMs }) => publishingMs));
    const silencesMs = new Map<number, number>();
    for (const publishingMs of intervals) silencesMs.set(publishingMs, await this.#subscribe(publishingMs));
    await this.monitor(this.#items.keys());
    for (const subscription of this.#subscriptions.values()) await subscription.setPublishingMode(true);
    return silencesMs;
  }

  /** Items that the server refuses, each with the reason. */
  refused(): readonly (readonly [item: number, text: string])[] {
    return [...this.#refused];
  }

  /** Requests items. Their namespaces are looked up each time. */
  async monitor(items: Iterable<number>): Promise<void> {
    const uris = await this.#session.readNamespaceArray();
    const known = [...items].flatMap((index) => {
      const item = this.#items[index];
      if (item === undefined) return [];
      const nodeId = nodeIdOf(item.node, uris);
      if (typeof nodeId !== 'string') return [{ index, item, nodeId }];
      this.#refused.set(index, nodeId);
      return [];
    });
    const alike = Map.groupBy(known, ({ item: { publishingMs, samplingMs, queueSize, deadband } }) =>
      [publishingMs, samplingMs, queueSize, deadband].join(),
    );
    for (const members of alike.values())
      for (let from = 0; from < members.length; from += this.#itemsPerRequest)
        await this.#request(members.slice(from, from + this.#itemsPerRequest), true);
  }

  async #readLimit(): Promise<number> {
    const nodes = OPERATION_LIMITS.map((nodeId) => ({ nodeId: coerceNodeId(nodeId), attributeId: AttributeIds.Value }));
    const values = await this.#session.read(nodes);
    // 0 or no value: no limit.
    const limits = values.map(({ value }) => Number(value.value)).filter((limit) => limit > 0);
    return Math.min(ITEMS_PER_REQUEST_MAX, ...limits);
  }

  async #subscribe(publishingMs: number): Promise<number> {
    const subscription = await this.#session.createSubscription2({
      requestedPublishingInterval: publishingMs,
      requestedMaxKeepAliveCount: 1,
      requestedLifetimeCount: Math.max(10, Math.ceil(LIFETIME_MS / publishingMs)),
      maxNotificationsPerPublish: 0,
      // The library delays values that arrive before it knows their items by two seconds.
      publishingEnabled: false,
      priority: 0,
    });
    this.#subscriptions.set(publishingMs, subscription);
    const { onMessage, onLost } = this.#events;
    subscription.on('keepalive', () => onMessage(publishingMs));
    subscription.on('received_notifications', () => onMessage(publishingMs));
    subscription.on('status_changed', (status: StatusCode) =>
      onLost(`The server ended the subscription: ${status.name}`),
    );
    subscription.on('terminated', () => onLost('The server ended the subscription'));
    subscription.on('internal_error', (error: Error) => onLost(`The subscription failed: ${error.message}`));
    const timeMs = await this.#monitorServerTime(subscription);
    // A server may grant longer intervals than requested.
    return SILENT_INTERVALS * (timeMs ?? subscription.publishingInterval * subscription.maxKeepAliveCount);
  }

  /**
   * The server's time changes always: each publication has a notification, also if the server grants a long keep-alive.
   *
   * @returns Interval of the notifications, ms; undefined if the server refuses it.
   */
  async #monitorServerTime(subscription: ClientSubscription): Promise<number | undefined> {
    const { publishingInterval } = subscription;
    const item = { nodeId: coerceNodeId(SERVER_TIME), attributeId: AttributeIds.Value };
    const parameters = { samplingInterval: publishingInterval, queueSize: 1, discardOldest: true };
    const group = await monitored(subscription, [item], parameters, (_index, { value }) => {
      if (value.value instanceof Date) this.#events.onServerTime(value.value.getTime());
    });
    const result = group.monitoredItems[0]?.result;
    if (result === undefined || result.statusCode.isBad()) return undefined;
    return Math.max(publishingInterval, result.revisedSamplingInterval);
  }

  async #request(members: readonly Member[], withFilter: boolean): Promise<void> {
    const [first] = members;
    const subscription = this.#subscriptions.get(first?.item.publishingMs ?? 0);
    if (first === undefined || subscription === undefined) return;
    const { samplingMs, queueSize, deadband } = first.item;
    const nodes = members.map(({ nodeId }) => ({ nodeId, attributeId: AttributeIds.Value }));
    const filter = withFilter && deadband > 0 ? deadbandFilter(deadband) : null;
    const parameters = { samplingInterval: samplingMs, queueSize, discardOldest: true, filter };
    const group = await monitored(subscription, nodes, parameters, (index, dataValue) => {
      const member = members[index];
      if (member !== undefined) this.#events.onValue(member.index, dataValue);
    });
    const unfiltered: Member[] = [];
    const accepted: Member[] = [];
    for (const [position, member] of members.entries()) {
      const { statusCode } = group.monitoredItems[position] ?? {};
      if (statusCode === undefined || !statusCode.isBad()) accepted.push(member);
      // The quality gate applies the deadband anyway.
      else if (withFilter && deadband > 0 && FILTER_REFUSED.test(statusCode.name)) unfiltered.push(member);
      else this.#refused.set(member.index, statusCode.name);
    }
    await this.#readFirst(accepted);
    if (unfiltered.length > 0) await this.#request(unfiltered, false);
  }

  /** Some servers do not publish the first value of an item that was created while publishing was off. */
  async #readFirst(members: readonly Member[]): Promise<void> {
    if (members.length === 0) return;
    const nodes = members.map(({ nodeId }) => ({ nodeId, attributeId: AttributeIds.Value }));
    const values = await this.#session.read(nodes, 0);
    for (const [position, { index }] of members.entries()) {
      this.#refused.delete(index);
      const value = values[position];
      if (value !== undefined) this.#events.onValue(index, value);
    }
  }
}

/** Creates monitored items. The listener is there before the server answers, so no first value is lost. */
async function monitored(
  subscription: ClientSubscription,
  nodes: readonly ReadValueIdOptions[],
  parameters: MonitoringParametersOptions,
  onValue: (index: number, dataValue: DataValue) => void,
): Promise<ClientMonitoredItemGroup> {
  const group = ClientMonitoredItemGroup.create(subscription, [...nodes], parameters, TimestampsToReturn.Both);
  group.on('changed', (_item: ClientMonitoredItemBase, dataValue: DataValue, index: number) =>
    onValue(index, dataValue),
  );
  await new Promise<void>((resolve, reject) => {
    group.on('initialized', resolve);
    group.on('err', (message) => reject(new Error(message)));
  });
  return group;
}

type Member = { readonly index: number; readonly item: OpcuaItem; readonly nodeId: NodeId };

const FILTER_REFUSED = /Filter|Deadband/;

function deadbandFilter(deadbandValue: number): DataChangeFilter {
  return new DataChangeFilter({
    trigger: DataChangeTrigger.StatusValue,
    deadbandType: DeadbandType.Absolute,
    deadbandValue,
  });
}
