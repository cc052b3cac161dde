import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import {
  acknowledge,
  type AlarmRules,
  type AlarmStep,
  applyVerdict,
  endSuppression,
  noDelay,
  shelve,
  suppress,
} from '../domain/alarm/alarm-logic.ts';
import { actionMessage, type BlamedTag, scoreMessage } from '../domain/alarm/alarm-message.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import {
  type AlarmCause,
  type AlarmFacts,
  type AlarmPriority,
  type AlarmState,
  alarmState,
  type AlarmTransition,
  normalFacts,
} from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { alarmMetrics } from './alarm-metrics.ts';
import type { Entry, Recorder } from './recorder.ts';
import type { AlarmConfig, WatchConfig } from './watch-config.ts';

/** Limit of verdicts that wait while the stored alarms cannot be read. Above it, the oldest is dropped and counted. */
const UNAPPLIED_MAX = 10_000;

/** A verdict, and the state of the plant at its time. */
export type AlarmVerdict = {
  readonly verdict: Verdict;
  /** Abnormal side of the watch's threshold. */
  readonly abnormal: 'above' | 'below';
  /** Tags for the alarm's message. */
  readonly tags: readonly BlamedTag[];
  /** True if the state of the plant suppresses the alarm by design; undefined if the state is unknown. */
  readonly suppressed: boolean | undefined;
};

type Alarm = {
  readonly watch: string;
  readonly config: AlarmConfig;
  memory: AlarmStep['memory'];
  last: AlarmTransition;
  /** Highest number given out. It is above `last.number` if an operator's action could not be stored. */
  number: number;
  /** Last transition that is in the outbox: the one that is listed. */
  stored: AlarmTransition;
  shelving: Timer | undefined;
};

/**
 * The alarms of all watches: their states, the actions of operators, and their records in the outbox.
 *
 * A transition takes effect in memory immediately, is stored, and only then listed and announced. The plant's transitions
 * of a suppressed alarm are stored but not announced, so that the journal is complete. Until `start` has read the stored
 * alarms, verdicts wait, operators are refused and no alarm is listed. After a late read, each stored alarm is announced.
 */
export class AlarmService implements AlarmCommands, AsyncDisposable {
  readonly #records: RecordStore;
  readonly #recorder: Recorder;
  readonly #events: LiveEvents;
  readonly #deps: Deps;
  readonly #metrics;
  readonly #health: ComponentHealth;
  readonly #alarms: ReadonlyMap<string, Alarm>;
  readonly #backoff: Backoff;
  #unapplied: AlarmVerdict[] = [];
  #restored = false;
  #late = false;
  #retry: Timer | undefined;
  #disposed = false;

  constructor(options: {
    readonly watches: ReadonlyMap<string, WatchConfig>;
    readonly records: RecordStore;
    readonly recorder: Recorder;
    readonly events: LiveEvents;
    readonly deps: Deps;
  }) {
    this.#records = options.records;
    this.#recorder = options.recorder;
    this.#events = options.events;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(alarmMetrics);
    this.#health = options.deps.health.component('alarms');
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: options.deps.random });
    const nowMs = options.deps.clock.nowMs();
    const alarms = [...options.watches].flatMap(([watch, { alarm }]) =>
      alarm === undefined ? [] : [newAlarm(watch, alarm, nowMs)],
    );
    this.#alarms = new Map(alarms.map((alarm) => [alarm.watch, alarm]));
  }

  /** Reads the stored alarms. If that fails, retries in the background. Never rejects. */
  async start(): Promise<void> {
    this.#retry = undefined;
    try {
      const stored = await this.#records.alarms();
      if (this.#disposed || this.#restored) return;
      this.#restore(stored);
      this.#health.report('ok');
    } catch (error) {
      if (this.#disposed) return;
      this.#late = true;
      this.#health.report('degraded', `The stored alarms could not be read: ${errorMessage(error)}`);
      this.#retry = this.#deps.clock.setTimer(() => void this.start(), this.#backoff.nextMs(), { background: true });
    }
  }

  get restored(): boolean {
    return this.#restored;
  }

  list(): readonly AlarmTransition[] {
    return !this.#restored ? [] : [...this.#alarms.values()].map(({ stored }) => stored);
  }

  /** @returns Undefined for a watch without an alarm, and while the stored alarms could not be read. */
  stateOf(watch: string): AlarmState | undefined {
    return !this.#restored ? undefined : this.#alarms.get(watch)?.stored.state;
  }

  /** True while the plant is in alarm, also if the alarm is acknowledged or suppressed. */
  isActive(watch: string): boolean {
    return this.#alarms.get(watch)?.memory.facts.active === true;
  }

  /** @returns Transitions to store with the verdict's own record. */
  apply(input: AlarmVerdict): readonly Entry[] {
    const alarm = this.#alarms.get(input.verdict.watch);
    if (alarm === undefined) return [];
    if (!this.#restored) {
      this.#unapplied.push(input);
      if (this.#unapplied.length > UNAPPLIED_MAX) {
        this.#unapplied.shift();
        this.#metrics.andon_alarm_verdicts_dropped_total.inc();
      }
      return [];
    }
    return [...this.#applySuppression(alarm, input), ...this.#applyVerdict(alarm, input)];
  }

  async acknowledge(watch: string, by: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(watch);
    const facts = acknowledge(alarm.memory.facts);
    if (facts === undefined)
      throw new OperatingError('alarm-not-acknowledgeable', 'reject', `The alarm of ${watch} is ${alarm.last.state}`);
    return this.#act(alarm, facts, 'acknowledged', by);
  }

  async shelve(watch: string, untilMs: EpochMs, by: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(watch);
    const facts = shelve(alarm.memory.facts, untilMs);
    if (facts === undefined)
      throw new OperatingError('alarm-out-of-service', 'reject', `The alarm of ${watch} is out of service`);
    return this.#act(alarm, facts, 'shelved', by);
  }

  async unshelve(watch: string, by: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(watch);
    if (alarm.memory.facts.suppression !== 'shelved')
      throw new OperatingError('alarm-not-shelved', 'reject', `The alarm of ${watch} is ${alarm.last.state}`);
    return this.#act(alarm, endSuppression(alarm.memory.facts), 'unshelved', by);
  }

  /** The wall clock was set. Shelving ends at a wall-clock time, so its timers restart. */
  clockJumped(): void {
    for (const alarm of this.#alarms.values()) this.#timeShelving(alarm);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#retry?.cancel();
    for (const alarm of this.#alarms.values()) {
      alarm.shelving?.cancel();
      // The gauge outlives this service: after a reload the next one counts the same alarms.
      if (this.#restored) this.#metrics.andon_alarms.dec({ state: alarm.last.state, priority: alarm.config.priority });
    }
  }

  #applyVerdict(alarm: Alarm, { verdict, abnormal, tags }: AlarmVerdict): readonly Entry[] {
    const { timestampMs, score, threshold } = verdict;
    const { facts } = alarm.memory;
    const step = applyVerdict(alarm.memory, verdict.verdict, timestampMs, rulesOf(alarm.config, abnormal));
    alarm.memory = { facts, delay: step.memory.delay };
    const { cause } = step;
    if (cause === undefined) return [];
    const message = scoreMessage(cause, { watch: alarm.watch, score, threshold, tags });
    return [this.#change(alarm, step.memory.facts, { cause, message, by: undefined, timestampMs, score })];
  }

  #applySuppression(alarm: Alarm, { verdict, suppressed }: AlarmVerdict): readonly Entry[] {
    const { facts } = alarm.memory;
    const ends = suppressed === false && facts.suppression === 'suppressed-by-design';
    const next =
      suppressed === true ? suppress(facts, 'suppressed-by-design') : ends ? endSuppression(facts) : undefined;
    if (next === undefined) return [];
    const cause = ends ? 'returned-to-service' : 'suppressed-by-design';
    const by = alarm.config.suppressWhen?.tag;
    const message = actionMessage(cause, { watch: alarm.watch, by, untilMs: undefined });
    const { timestampMs } = verdict;
    return [this.#change(alarm, next, { cause, message, by, timestampMs, score: alarm.last.score })];
  }

  #restore(stored: readonly AlarmTransition[]): void {
    this.#restored = true;
    for (const transition of stored) {
      const alarm = this.#alarms.get(transition.watch);
      if (alarm === undefined) continue;
      alarm.memory = { facts: transition.facts, delay: noDelay };
      alarm.last = { ...transition, priority: alarm.config.priority };
      alarm.number = transition.number;
      alarm.stored = alarm.last;
    }
    // Earlier subscribers received an empty list.
    if (this.#late)
      for (const transition of this.list()) this.#events.emit({ type: 'alarm', transition, id: undefined });
    const entries: Entry[] = [];
    for (const alarm of this.#alarms.values()) {
      this.#metrics.andon_alarms.inc({ state: alarm.last.state, priority: alarm.config.priority });
      entries.push(...this.#putInService(alarm));
      this.#timeShelving(alarm);
    }
    for (const input of this.#unapplied.splice(0)) entries.push(...this.apply(input));
    this.#recorder.store(entries);
  }

  /** Puts an alarm in or out of service, as configured. */
  #putInService(alarm: Alarm): readonly Entry[] {
    const { facts } = alarm.memory;
    if (alarm.config.outOfService) {
      const suppressed = suppress(facts, 'out-of-service');
      return suppressed === undefined ? [] : [this.#ofConfig(alarm, suppressed, 'out-of-service')];
    }
    const suppressedNoMore = facts.suppression === 'suppressed-by-design' && alarm.config.suppressWhen === undefined;
    return facts.suppression === 'out-of-service' || suppressedNoMore
      ? [this.#ofConfig(alarm, endSuppression(facts), 'returned-to-service')]
      : [];
  }

  #ofConfig(alarm: Alarm, facts: AlarmFacts, cause: 'out-of-service' | 'returned-to-service'): Entry {
    const by = 'configuration';
    const message = actionMessage(cause, { watch: alarm.watch, by, untilMs: undefined });
    return this.#change(alarm, facts, { cause, message, by, timestampMs: this.#deps.clock.nowMs(), score: undefined });
  }

  /** @throws {OperatingError} 'alarm-unknown', 'alarms-not-restored' */
  #alarm(watch: string): Alarm {
    const alarm = this.#alarms.get(watch);
    if (alarm === undefined) throw new OperatingError('alarm-unknown', 'reject', `No watch '${watch}' has an alarm`);
    if (!this.#restored)
      throw new OperatingError('alarms-not-restored', 'retry', 'The stored alarms could not be read yet');
    return alarm;
  }

  /**
   * Applies an operator's action. If the outbox accepts no record now, the action holds and its record waits. If the
   * record can never be stored, the action is undone.
   */
  async #act(
    alarm: Alarm,
    facts: AlarmFacts,
    cause: 'acknowledged' | 'shelved' | 'unshelved',
    by: string,
  ): Promise<AlarmTransition> {
    const before = { facts: alarm.memory.facts, last: alarm.last };
    const timestampMs = this.#deps.clock.nowMs();
    const message = actionMessage(cause, { watch: alarm.watch, by, untilMs: facts.shelvedUntilMs });
    const entry = this.#change(alarm, facts, { cause, message, by, timestampMs, score: before.last.score });
    const transition = alarm.last;
    this.#timeShelving(alarm);
    try {
      await this.#recorder.storeNow(entry);
    } catch (error) {
      // A later transition is based on this action, which must then be stored.
      if (alarm.last === transition) this.#takeBack(alarm, before);
      else this.#recorder.keep([entry]);
      throw error;
    }
    return transition;
  }

  #takeBack(alarm: Alarm, before: { readonly facts: AlarmFacts; readonly last: AlarmTransition }): void {
    this.#count(alarm.last.state, before.last.state, alarm.config.priority);
    alarm.memory = { facts: before.facts, delay: alarm.memory.delay };
    alarm.last = before.last;
    this.#timeShelving(alarm);
  }

  #change(
    alarm: Alarm,
    facts: AlarmFacts,
    change: Pick<AlarmTransition, 'cause' | 'message' | 'by' | 'timestampMs' | 'score'>,
  ): Entry {
    alarm.number += 1;
    const transition: AlarmTransition = {
      watch: alarm.watch,
      number: alarm.number,
      state: alarmState(facts),
      previous: alarm.last.state,
      priority: alarm.config.priority,
      ...change,
      facts,
    };
    alarm.memory = { facts, delay: alarm.memory.delay };
    alarm.last = transition;
    this.#count(transition.previous, transition.state, transition.priority);
    this.#metrics.andon_alarm_transitions_total.inc({ watch: alarm.watch, state: transition.state });
    const { timestamp_ms: _, ...body } = alarmPayload(transition, undefined);
    const draft = {
      kind: 'alarm',
      timestampMs: transition.timestampMs,
      watch: alarm.watch,
      body,
      alarm: transition,
    } as const;
    return { draft, stored: (id) => this.#announce(alarm, transition, id) };
  }

  #announce(alarm: Alarm, transition: AlarmTransition, id: string): void {
    // A record that was kept for long may come after a newer one; subscribers must not fall back to the old state.
    if (transition.number <= alarm.stored.number) return;
    alarm.stored = transition;
    if (transition.facts.suppression !== 'none' && isOfPlant(transition.cause)) return;
    this.#events.emit({ type: 'alarm', transition, id });
  }

  #count(from: AlarmState, to: AlarmState, priority: AlarmPriority): void {
    if (this.#disposed) return;
    this.#metrics.andon_alarms.dec({ state: from, priority });
    this.#metrics.andon_alarms.inc({ state: to, priority });
  }

  #timeShelving(alarm: Alarm): void {
    alarm.shelving?.cancel();
    alarm.shelving = undefined;
    const untilMs = alarm.memory.facts.shelvedUntilMs;
    if (untilMs === undefined || this.#disposed) return;
    const delayMs = untilMs - this.#deps.clock.nowMs();
    alarm.shelving = this.#deps.clock.setTimer(() => this.#endShelving(alarm), delayMs, { background: true });
  }

  #endShelving(alarm: Alarm): void {
    const { facts } = alarm.memory;
    const nowMs = this.#deps.clock.nowMs();
    // A timer may fire a fraction early, and is limited to 24 days.
    if (facts.shelvedUntilMs !== undefined && facts.shelvedUntilMs - nowMs >= 1) return this.#timeShelving(alarm);
    alarm.shelving = undefined;
    const cause = 'shelving-ended';
    const message = actionMessage(cause, { watch: alarm.watch, by: undefined, untilMs: undefined });
    const change = { cause, message, by: undefined, timestampMs: nowMs, score: alarm.last.score } as const;
    this.#recorder.store([this.#change(alarm, endSuppression(facts), change)]);
  }
}

function isOfPlant(cause: AlarmCause): boolean {
  return cause === 'score-above-threshold' || cause === 'score-below-threshold' || cause === 'returned-to-normal';
}

function rulesOf(config: AlarmConfig, abnormal: 'above' | 'below'): AlarmRules {
  return { onDelayMs: config.onDelayMs, offDelayMs: config.offDelayMs, abnormal };
}

/**
 * Creates an alarm without a stored state. If its state was lost, records with its earlier numbers may be in the outbox.
 * An alarm changes less than once a millisecond, so the current time is above all of them.
 */
function newAlarm(watch: string, config: AlarmConfig, nowMs: EpochMs): Alarm {
  const number = Math.floor(nowMs);
  const last: AlarmTransition = {
    watch,
    number,
    state: 'normal',
    previous: 'normal',
    priority: config.priority,
    cause: 'returned-to-normal',
    message: `${watch} has had no alarm yet.`,
    by: undefined,
    timestampMs: nowMs,
    score: undefined,
    facts: normalFacts,
  };
  return {
    watch,
    config,
    memory: { facts: normalFacts, delay: noDelay },
    last,
    number,
    stored: last,
    shelving: undefined,
  };
}
