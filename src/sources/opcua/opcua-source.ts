import type { NodeListing, Source, SourceContext } from '../../contracts/source.ts';
import { formatDuration } from '../../domain/duration.ts';
import { nameSome } from '../../domain/name-list.ts';
import { takenAt } from '../../domain/sample/quality-gate.ts';
import {
  BAD,
  type QualityCode,
  type QualityReason,
  reasonCode,
  reasonOf,
  UNCERTAIN,
} from '../../domain/sample/quality.ts';
import { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { Backoff } from '../../platform/backoff.ts';
import type { Timer } from '../../platform/clock.ts';
import { errorMessage } from '../../platform/errors.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { HeldFaults } from '../held-faults.ts';
import { tagNumberOf } from '../source-tags.ts';
import { HeldValues } from './held-values.ts';
import type { OpcuaSourceConfig } from './opcua-config.ts';
import { opcuaFailure } from './opcua-errors.ts';
import { opcuaEndpoint, opcuaReads } from './opcua-job.ts';
import { opcuaMetrics } from './opcua-metrics.ts';
import { type ConnectionEvent, type OpcuaConnection, OpcuaProcess } from './opcua-process.ts';
import type { OpcuaItem, OpcuaValues } from './opcua-protocol.ts';
import { pkiFolderOf } from './pki-folder.ts';

const BEAT_MS = 250;
/** Shortest silence that replaces a connection: a box under load may be late by this much. */
const SILENCE_MS_MIN = 2_000;
/** Shortest time between two deliveries of an unchanged value. */
const HOLD_MS_MIN = 1_000;
/** Time to load the library, in addition to the timeouts of the connection. */
const LOAD_MS = 60_000;
/** Steps of a connection: channel, endpoints, session, activation, subscriptions, items. */
const CONNECTION_STEPS = 6;
const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;
const REFUSED_NAMED_MAX = 3;

type State =
  | { readonly kind: 'new' | 'disposed' }
  | { readonly kind: 'waiting'; readonly timer: Timer; readonly reason: string; readonly untilMs: number }
  | { readonly kind: 'opening'; readonly connection: OpcuaConnection; readonly untilMs: number }
  | { readonly kind: 'open'; readonly connection: OpcuaConnection; readonly silencesMs: ReadonlyMap<number, number> }
  /** Replaced: the next connection follows when this one has ended. */
  | { readonly kind: 'closing'; readonly reason: string; readonly untilMs: number };

/** A subscription: the items with one publishing interval. */
type Subscription = {
  readonly publishingMs: number;
  readonly tags: readonly number[];
  silentMs: number;
  heldMs: number;
};

/**
 * Reads tags from one OPC UA server by subscription. A process of its own has the library.
 *
 * The source does not rely on the library's reconnection: a server without a message for three publishing intervals gets a
 * new connection. Until then each tag is bad with `link-down`.
 */
export class OpcuaSource implements Source {
  readonly #context: SourceContext<OpcuaSourceConfig>;
  readonly #process: OpcuaProcess;
  readonly #backoff: Backoff;
  readonly #faults: HeldFaults;
  readonly #metrics;
  readonly #job;
  readonly #tags: readonly TagNumber[];
  readonly #held: HeldValues;
  readonly #subscriptions: readonly Subscription[];
  #state: State = { kind: 'new' };
  #health: ComponentHealth | undefined;
  #beating: Timer | undefined;
  #tickMs: number;
  #skewMs = 0;
  #expiresMs = Infinity;
  #refused: readonly (readonly [item: number, text: string])[] = [];
  /** False after each tag was sent as bad. */
  #hasValues = true;
  #disposed: Promise<void> | undefined;

  constructor(context: SourceContext<OpcuaSourceConfig>) {
    const { id, config, deps, tagNumbers } = context;
    this.#context = context;
    this.#process = OpcuaProcess.of(deps);
    this.#backoff = new Backoff({
      firstMs: config.reconnect.firstMs,
      maxMs: config.reconnect.maxMs,
      random: deps.random,
    });
    this.#faults = new HeldFaults(deps.clock);
    this.#metrics = deps.metrics.of(opcuaMetrics);
    this.#job = opcuaReads(config);
    this.#tags = this.#job.reads.map(({ name }) => tagNumberOf(name, tagNumbers));
    this.#held = new HeldValues(this.#tags);
    this.#subscriptions = subscriptionsOf(this.#job.items);
    this.#tickMs = deps.clock.monotonicMs();
    this.#metrics.andon_opcua_values_total.inc({ source: id }, 0);
  }

  start(): void {
    if (this.#state.kind !== 'new') return;
    this.#health = this.#context.deps.health.component(`source/${this.#context.id}`);
    this.#process.join();
    this.#open();
    this.#beat();
  }

  lastTickMs(): number {
    return this.#tickMs;
  }

  async browseNodes(node: string | undefined): Promise<NodeListing> {
    if (this.#state.kind !== 'open')
      throw opcuaFailure('opcua-browse-failed', 'The source is not connected to its server; see its health');
    return await this.#state.connection.browse(node);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const state = this.#state;
    this.#state = { kind: 'disposed' };
    this.#beating?.cancel();
    if (state.kind === 'new') return;
    if (state.kind === 'waiting') state.timer.cancel();
    if (state.kind === 'open' || state.kind === 'opening') state.connection.close();
    this.#health?.remove();
    this.#health = undefined;
    await this.#process.leave();
  }

  #open(): void {
    const { id, config, deps, stateFolder } = this.#context;
    const { clock } = deps;
    try {
      const endpoint = opcuaEndpoint(id, config, pkiFolderOf(stateFolder));
      const connection = this.#process.open({ endpoint, time: config.time, ...this.#job }, (event) => {
        // Late events of a connection that was replaced.
        if (this.#current === connection || event.type === 'ended') this.#take(event);
      });
      const untilMs = clock.monotonicMs() + LOAD_MS + CONNECTION_STEPS * config.connectTimeoutMs;
      this.#state = { kind: 'opening', connection, untilMs };
    } catch (error) {
      // A secret may be mounted later.
      this.#wait(errorMessage(error));
    }
  }

  get #current(): OpcuaConnection | undefined {
    return this.#state.kind === 'opening' || this.#state.kind === 'open' ? this.#state.connection : undefined;
  }

  #take(event: ConnectionEvent): void {
    const { kind } = this.#state;
    if (kind === 'disposed' || kind === 'new' || kind === 'waiting') return;
    this.#tick();
    switch (event.type) {
      case 'opened':
        return this.#opened(event.silencesMs, event.expiresMs);
      case 'skew':
        this.#skewMs = event.skewMs;
        this.#metrics.andon_opcua_clock_skew_seconds.set({ source: this.#context.id }, event.skewMs / 1000);
        return this.#report();
      case 'alive':
        return this.#alive(event.publishingMs);
      case 'values':
        return this.#deliver(event.values);
      case 'refused':
        return this.#refuse(event.items);
      case 'ended':
        return this.#ended(event.reason);
    }
  }

  #opened(silencesMs: ReadonlyMap<number, number>, expiresMs: number): void {
    const connection = this.#current;
    if (connection === undefined) return;
    this.#state = { kind: 'open', connection, silencesMs };
    this.#backoff.reset();
    this.#expiresMs = expiresMs;
    for (const subscription of this.#subscriptions) subscription.silentMs = 0;
    const source = { source: this.#context.id };
    this.#metrics.andon_opcua_connections_total.inc(source);
    this.#metrics.andon_opcua_certificate_expiry_seconds.set(source, expiresMs / 1000);
    this.#report();
  }

  #ended(reason: string): void {
    const state = this.#state;
    // The reason of the replacement is the cause; the end of the old connection follows from it.
    if (state.kind === 'closing') return this.#wait(state.reason);
    this.#count(state.kind === 'open' ? 'ended' : 'not-opened');
    this.#lose();
    this.#wait(reason);
  }

  /** Ends a connection that is silent, or does not open in time. The next one follows when it has ended. */
  #replace(reason: string): void {
    const state = this.#state;
    if (state.kind !== 'open' && state.kind !== 'opening') return;
    this.#count(state.kind === 'open' ? 'silent' : 'not-opened');
    const { clock } = this.#context.deps;
    this.#state = { kind: 'closing', reason, untilMs: clock.monotonicMs() + this.#context.config.connectTimeoutMs };
    state.connection.close();
    this.#lose();
    this.#report();
  }

  #wait(reason: string): void {
    const { clock } = this.#context.deps;
    const delayMs = this.#backoff.nextMs();
    const timer = clock.setTimer(() => this.#open(), delayMs);
    this.#state = { kind: 'waiting', timer, reason, untilMs: clock.monotonicMs() + delayMs };
    this.#report();
  }

  #count(reason: 'silent' | 'ended' | 'not-opened'): void {
    this.#metrics.andon_opcua_connections_lost_total.inc({ source: this.#context.id, reason });
  }

  /** No value is current. */
  #lose(): void {
    this.#faults.clear();
    this.#refused = [];
    this.#held.clear();
    if (!this.#hasValues) return;
    this.#hasValues = false;
    this.#sendBad(
      this.#tags.map((_, index) => index),
      'link-down',
    );
  }

  #deliver({ reads, values, timesMs, qualities, reasons, faults, overflows }: OpcuaValues): void {
    const { id, config, deps, sink } = this.#context;
    const nowMs = deps.clock.nowMs();
    this.#hasValues = true;
    const batch = new SampleBatch(reads.length);
    const faulty = new Map(faults);
    for (const [index, read] of reads.entries()) {
      const sentMs = timesMs[index] ?? Number.NaN;
      const takenMs = Number.isNaN(sentMs) ? nowMs : takenAt(sentMs, nowMs, config.futureToleranceMs);
      const value = values[index] ?? Number.NaN;
      const timeMs = takenMs ?? nowMs;
      let quality = (qualities[index] ?? BAD) as QualityCode;
      let reason = reasonOf(reasons[index] ?? 0);
      if (takenMs === undefined && quality !== BAD) [quality, reason] = [UNCERTAIN, 'time-in-future'];
      batch.add(this.#tags[read] ?? -1, value, timeMs, quality, reason);
      this.#held.set(read, value, timeMs, quality, reasonCode(reason));
      if (reason !== 'none') this.#metrics.andon_opcua_values_not_good_total.inc({ source: id, reason });
      this.#noteContent(read, faulty.get(read));
    }
    this.#metrics.andon_opcua_values_total.inc({ source: id }, reads.length);
    if (overflows > 0) {
      this.#metrics.andon_opcua_queue_overflows_total.inc({ source: id }, overflows);
      const text = 'the server dropped values because a queue was full: raise queueSize or lower publishingInterval';
      if (this.#faults.note('overflow', text)) this.#report();
    }
    sink.accept(batch);
  }

  #noteContent(read: number, fault: string | undefined): void {
    const name = this.#job.reads[read]?.name;
    if (fault === undefined) this.#faults.end(read);
    else if (this.#faults.begin(read, `${name}: ${fault}`)) this.#report();
  }

  /** The server is there, so the values that it did not send have not changed. */
  #alive(publishingMs: number): void {
    const { config, deps, sink } = this.#context;
    const subscription = this.#subscriptions.find((each) => each.publishingMs === publishingMs);
    if (subscription === undefined) return;
    subscription.silentMs = 0;
    const nowMs = deps.clock.nowMs();
    if (nowMs - subscription.heldMs < HOLD_MS_MIN) return;
    subscription.heldMs = nowMs;
    // A change within the last interval may still be under way. With times of the server, values are held by its clock.
    const behindMs = config.time === 'received' ? 0 : Math.min(0, this.#skewMs);
    const batch = this.#held.asOf(nowMs + behindMs - publishingMs, subscription.tags);
    if (batch !== undefined) sink.accept(batch);
  }

  #refuse(items: readonly (readonly [item: number, text: string])[]): void {
    const before = new Set(this.#refused.map(([item]) => item));
    this.#refused = items;
    this.#metrics.andon_opcua_nodes_refused.set({ source: this.#context.id }, items.length);
    const fresh = items.filter(([item]) => !before.has(item));
    this.#sendBad(
      fresh.flatMap(([item]) => this.#job.items[item]?.reads ?? []),
      'refused',
    );
    this.#report();
  }

  #sendBad(reads: readonly number[], reason: QualityReason): void {
    if (reads.length === 0) return;
    const { sink, deps } = this.#context;
    const batch = new SampleBatch(reads.length);
    const nowMs = deps.clock.nowMs();
    for (const read of reads) batch.add(this.#tags[read] ?? -1, Number.NaN, nowMs, BAD, reason);
    sink.accept(batch);
  }

  #tick(): void {
    this.#tickMs = this.#context.deps.clock.monotonicMs();
  }

  #beat(): void {
    this.#tick();
    this.#watch();
    this.#faults.forget();
    // The text of a fault may have changed.
    if (this.#state.kind === 'open') this.#report();
    if (this.#state.kind === 'disposed') return;
    this.#beating = this.#context.deps.clock.setTimer(() => this.#beat(), BEAT_MS);
  }

  /** Silence is counted in beats: after a stall of this thread, the messages of the meantime come first. */
  #watch(): void {
    const state = this.#state;
    const { clock } = this.#context.deps;
    if (state.kind === 'open') {
      for (const subscription of this.#subscriptions) {
        subscription.silentMs += BEAT_MS;
        const limitMs = Math.max(SILENCE_MS_MIN, state.silencesMs.get(subscription.publishingMs) ?? 0);
        if (subscription.silentMs > limitMs)
          return this.#replace(`The server sent no notification and no keep-alive for ${formatDuration(limitMs)}`);
      }
      return;
    }
    if ((state.kind !== 'opening' && state.kind !== 'closing') || clock.monotonicMs() <= state.untilMs) return;
    // A process that does not even close a connection hangs. Its exit ends all connections.
    if (state.kind === 'closing') this.#process.kill();
    else this.#replace('The connection to the server was not complete in time');
  }

  #report(): void {
    const state = this.#state;
    switch (state.kind) {
      case 'new':
      case 'disposed':
      case 'opening':
        return;
      case 'waiting': {
        const inMs = Math.max(0, state.untilMs - this.#context.deps.clock.monotonicMs());
        return this.#health?.report('degraded', `${state.reason}; next attempt in ${(inMs / 1000).toFixed(1)} s`);
      }
      case 'closing':
        return this.#health?.report('degraded', state.reason);
      case 'open': {
        const texts = [...this.#troubles(), this.#faults.text()].filter((text) => text !== undefined);
        return this.#health?.report(texts.length === 0 ? 'ok' : 'degraded', texts.join('; '));
      }
    }
  }

  #troubles(): readonly string[] {
    const { id, config, deps } = this.#context;
    const refused = this.#refused.slice(0, REFUSED_NAMED_MAX).map(([item, text]) => {
      const { node, reads } = this.#job.items[item] ?? { node: '', reads: [] };
      return `${nameSome(reads.map((read) => this.#job.reads[read]?.name ?? ''))}: ${node} refused: ${text}`;
    });
    const more = this.#refused.length - refused.length;
    const skewMs = Math.abs(this.#skewMs);
    const direction = this.#skewMs > 0 ? 'ahead of' : 'behind';
    return [
      ...refused,
      ...(more > 0 ? [`${more} more nodes refused`] : []),
      ...(config.time !== 'received' && skewMs > config.futureToleranceMs
        ? [
            `the server's clock is ${(skewMs / 1000).toFixed(1)} s ${direction} the agent's: synchronise the clocks, or set time: received`,
          ]
        : []),
      ...(this.#expiresMs - deps.clock.nowMs() < EXPIRY_WARNING_MS
        ? [
            `andon's certificate expires on ${new Date(this.#expiresMs).toISOString().slice(0, 10)}: renew it (andon opcua certificate ${id} --renew) and trust the new one in the server`,
          ]
        : []),
    ];
  }
}

function subscriptionsOf(items: readonly OpcuaItem[]): readonly Subscription[] {
  return [...Map.groupBy(items, ({ publishingMs }) => publishingMs)].map(([publishingMs, members]) => ({
    publishingMs,
    tags: members.flatMap(({ reads }) => reads),
    silentMs: 0,
    heldMs: 0,
  }));
}
