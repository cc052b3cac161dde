import type { AlarmCommands } from '../contracts/alarm-commands.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import type { RecordStore } from '../contracts/record-store.ts';
import { acknowledge, applyVerdict, endSuppression, noDelay, shelve, suppress } from '../domain/alarm/alarm-logic.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import {
  type AlarmFacts,
  type AlarmOnset,
  type AlarmPriority,
  type AlarmState,
  alarmState,
  type AlarmTransition,
  normalFacts,
  watchAlarmId,
  isAction,
  type RaisingCause,
} from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { Backoff } from '../platform/backoff.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { alarmMetrics } from './alarm-metrics.ts';
import { action, type Alarm, type AlarmDefinition, newAlarm } from './alarm-definition.ts';
import type { Entry, Recorder } from './recorder.ts';
import { alarmFailure } from './alarm-errors.ts';

/** Limit of verdicts that wait while the stored alarms cannot be read. Above it, the oldest is dropped and counted. */
const UNAPPLIED_MAX = 10_000;

/** Shortest time between two announcements of the present reason of an alarm. */
const PRESENT_MS = 10_000;

/** What raises an alarm, for its record. */
type AlarmOccasion = Pick<AlarmOnset, 'message' | 'parameters'> & { readonly cause: RaisingCause };

/** One observation of the condition that an alarm is about. */
export type AlarmInput = {
  /** Id of the alarm. */
  readonly alarm: string;
  readonly condition: 'normal' | 'abnormal' | 'unknown';
  readonly timestampMs: EpochMs;
  readonly score: number | undefined;
  /** Kept with the facts of the alarm, for the verdicts after a restart; undefined for other alarms than those of watches. */
  readonly scoreExtreme?: number | undefined;
  /** Called if the observation raises the alarm. */
  readonly raises: () => AlarmOccasion;
  /** Sentence on the condition now, if it may differ from the one that raised the alarm. */
  readonly present?: string | undefined;
  /** Called if the observation clears the alarm. */
  readonly clears: () => Pick<AlarmOnset, 'message' | 'parameters'>;
  /** True if the state of the plant suppresses the alarm by design; undefined if the state is unknown. */
  readonly suppressed: boolean | undefined;
};

/**
 * All alarms: their states, the actions of operators, and their records in the outbox.
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
  readonly #alarms: Map<string, Alarm>;
  readonly #backoff: Backoff;
  readonly #definitionOf;
  /** Last numbers of alarms that were stored and are not defined now. They may be defined again. */
  readonly #numbers = new Map<string, number>();
  #unapplied: AlarmInput[] = [];
  #restored = false;
  #late = false;
  #retry: Timer | undefined;
  #disposed = false;

  constructor(options: {
    /** In the order in which they are listed. */
    readonly definitions: readonly AlarmDefinition[];
    /** Returns the definition of a stored alarm that is not in `definitions`; undefined if it does not exist any more. */
    readonly definitionOf?: (stored: AlarmTransition) => AlarmDefinition | undefined;
    readonly records: RecordStore;
    readonly recorder: Recorder;
    readonly events: LiveEvents;
    readonly deps: Deps;
  }) {
    this.#definitionOf = options.definitionOf ?? (() => undefined);
    this.#records = options.records;
    this.#recorder = options.recorder;
    this.#events = options.events;
    this.#deps = options.deps;
    this.#metrics = options.deps.metrics.of(alarmMetrics);
    this.#health = options.deps.health.component('alarms');
    this.#backoff = new Backoff({ firstMs: 500, maxMs: 30_000, random: options.deps.random });
    const nowMs = options.deps.clock.nowMs();
    this.#alarms = new Map(options.definitions.map((definition) => [definition.id, newAlarm(definition, nowMs)]));
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
      this.#health.report(
        'degraded',
        `The stored alarms could not be read: ${errorMessage(error)}`,
        'alarms-not-restored',
      );
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
    return !this.#restored ? undefined : this.#alarms.get(watchAlarmId(watch))?.stored.state;
  }

  /** Facts of an alarm; those before the stored ones are read if that is not done yet. Undefined if it is not defined. */
  factsOf(alarm: string): AlarmFacts | undefined {
    return this.#alarms.get(alarm)?.memory.facts;
  }

  /**
   * Defines alarms after the start. One that is defined already keeps its state.
   *
   * @param others 'stay' for alarms that become possible later, such as the alarm of a component. 'end' for another
   *   configuration: alarms that it does not have end, so that no receiver keeps them, and new ones are announced.
   */
  define(definitions: readonly AlarmDefinition[], others: 'stay' | 'end'): void {
    const nowMs = this.#deps.clock.nowMs();
    const entries: Entry[] = [];
    const defined = new Set<string>();
    for (const definition of definitions) {
      const alarm = this.#alarms.get(definition.id);
      defined.add(definition.id);
      if (alarm !== undefined) entries.push(...this.#redefine(alarm, definition));
      else {
        const added = this.#add(newAlarm(definition, nowMs, this.#numbers.get(definition.id)));
        if (others === 'end') this.#announceNow(added);
      }
    }
    if (others === 'end')
      for (const [id, alarm] of this.#alarms)
        if (!defined.has(id) && this.#definitionOf(alarm.last) === undefined) entries.push(...this.#end(alarm));
    if (entries.length > 0) this.#recorder.store(entries);
  }

  /** @returns Transitions to store, with the record that they belong to. */
  apply(input: AlarmInput): readonly Entry[] {
    const alarm = this.#alarms.get(input.alarm);
    if (alarm === undefined) return [];
    if (!this.#restored) {
      this.#unapplied.push(input);
      if (this.#unapplied.length > UNAPPLIED_MAX) {
        this.#unapplied.shift();
        this.#metrics.andon_alarm_verdicts_dropped_total.inc();
      }
      return [];
    }
    return [...this.#applySuppression(alarm, input), ...this.#applyCondition(alarm, input)];
  }

  async acknowledge(id: string, by: string, comment?: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(id);
    const timestampMs = this.#deps.clock.nowMs();
    const facts = acknowledge(alarm.memory.facts, { by, timestampMs, comment });
    if (facts === undefined) throw alarmFailure('alarm-not-acknowledgeable', `The alarm ${id} is ${alarm.last.state}`);
    return this.#act(alarm, facts, 'acknowledged', by);
  }

  async shelve(id: string, untilMs: EpochMs, by: string, comment?: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(id);
    const facts = shelve(alarm.memory.facts, untilMs, comment);
    if (facts === undefined) throw alarmFailure('alarm-out-of-service', `The alarm ${id} is out of service`);
    return this.#act(alarm, facts, 'shelved', by);
  }

  async unshelve(id: string, by: string): Promise<AlarmTransition> {
    const alarm = this.#alarm(id);
    if (alarm.memory.facts.suppression !== 'shelved')
      throw alarmFailure('alarm-not-shelved', `The alarm ${id} is ${alarm.last.state}`);
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
      if (this.#restored)
        this.#metrics.andon_alarms.dec({ state: alarm.last.state, priority: alarm.definition.priority });
    }
  }

  #applyCondition(alarm: Alarm, input: AlarmInput): readonly Entry[] {
    const { condition, timestampMs, score, scoreExtreme } = input;
    if (condition !== 'unknown' && scoreExtreme !== alarm.memory.facts.scoreExtreme)
      alarm.memory = { ...alarm.memory, facts: { ...alarm.memory.facts, scoreExtreme } };
    const { facts } = alarm.memory;
    const { memory, change } = applyVerdict(alarm.memory, condition, timestampMs, alarm.definition);
    alarm.memory = { facts, delay: memory.delay };
    if (change === undefined) this.#describe(alarm, input);
    if (change === undefined) return [];
    if (change === 'cleared') {
      const cleared = { cause: 'returned-to-normal', ...input.clears() } as const;
      return [this.#change(alarm, memory.facts, { ...cleared, by: undefined, timestampMs, score })];
    }
    const occasion = input.raises();
    const raised = { ...memory.facts, onset: { timestampMs, ...occasion } };
    return [this.#change(alarm, raised, { ...occasion, by: undefined, timestampMs, score })];
  }

  /** Announces another reason of an active alarm, for operators. The stored facts stay those of the onset. */
  #describe(alarm: Alarm, { condition, present, timestampMs }: AlarmInput): void {
    const { active, onset } = alarm.memory.facts;
    // A record that waits for the outbox is not listed yet.
    if (!active || condition !== 'abnormal' || present === undefined || alarm.stored.number !== alarm.last.number)
      return;
    const shown = present === onset?.message ? undefined : present;
    if (alarm.stored.present === shown) return;
    alarm.stored = { ...alarm.stored, present: shown };
    if (alarm.memory.facts.suppression !== 'none' || Math.abs(timestampMs - alarm.presentMs) < PRESENT_MS) return;
    alarm.presentMs = timestampMs;
    this.#announceNow(alarm);
  }

  #applySuppression(alarm: Alarm, { timestampMs, suppressed }: AlarmInput): readonly Entry[] {
    const { facts } = alarm.memory;
    const ends = suppressed === false && facts.suppression === 'suppressed-by-design';
    const next =
      suppressed === true ? suppress(facts, 'suppressed-by-design') : ends ? endSuppression(facts) : undefined;
    if (next === undefined) return [];
    const cause = ends ? 'returned-to-service' : 'suppressed-by-design';
    const by = alarm.definition.suppressWhen?.tag;
    return [this.#change(alarm, next, action(alarm, cause, by, timestampMs, undefined))];
  }

  #restore(stored: readonly AlarmTransition[]): void {
    const removed: AlarmTransition[] = [];
    for (const transition of stored) {
      const late = this.#alarms.has(transition.alarm) ? undefined : this.#definitionOf(transition);
      if (late !== undefined) this.define([late], 'stay');
      const alarm = this.#alarms.get(transition.alarm);
      if (alarm === undefined) {
        this.#numbers.set(transition.alarm, transition.number);
        if (transition.state !== 'normal') removed.push(transition);
        continue;
      }
      alarm.memory = { facts: transition.facts, delay: noDelay };
      alarm.last = { ...transition, priority: alarm.definition.priority };
      alarm.number = transition.number;
      alarm.stored = alarm.last;
    }
    this.#restored = true;
    // Earlier subscribers received an empty list.
    if (this.#late) for (const alarm of this.#alarms.values()) this.#announceNow(alarm);
    const entries: Entry[] = [];
    for (const alarm of this.#alarms.values()) {
      this.#metrics.andon_alarms.inc({ state: alarm.last.state, priority: alarm.definition.priority });
      entries.push(...this.#putInService(alarm));
      this.#timeShelving(alarm);
    }
    for (const transition of removed) entries.push(this.#close(transition));
    for (const input of this.#unapplied.splice(0)) entries.push(...this.apply(input));
    this.#recorder.store(entries);
  }

  /** Puts an alarm in or out of service, as configured. */
  #putInService(alarm: Alarm): readonly Entry[] {
    const { facts } = alarm.memory;
    if (alarm.definition.outOfService) {
      const suppressed = suppress(facts, 'out-of-service');
      return suppressed === undefined ? [] : [this.#ofConfig(alarm, suppressed, 'out-of-service')];
    }
    const suppressedNoMore =
      facts.suppression === 'suppressed-by-design' && alarm.definition.suppressWhen === undefined;
    return facts.suppression === 'out-of-service' || suppressedNoMore
      ? [this.#ofConfig(alarm, endSuppression(facts), 'returned-to-service')]
      : [];
  }

  #ofConfig(alarm: Alarm, facts: AlarmFacts, cause: 'out-of-service' | 'returned-to-service'): Entry {
    const nowMs = this.#deps.clock.nowMs();
    return this.#change(alarm, facts, { ...action(alarm, cause, 'configuration', nowMs, undefined), score: undefined });
  }

  /** Ends an alarm that the configuration no longer has, so that no receiver keeps it. */
  #close(stored: AlarmTransition): Entry {
    const { alarm: id, watch, priority, number } = stored;
    const definition = { id, watch, title: id, priority, onDelayMs: 0, offDelayMs: 0, outOfService: false };
    const alarm = { ...newAlarm(definition, this.#deps.clock.nowMs()), last: stored, stored, number };
    this.#metrics.andon_alarms.inc({ state: stored.state, priority });
    const entry = this.#ofConfig(alarm, normalFacts, 'returned-to-service');
    this.#metrics.andon_alarms.dec({ state: 'normal', priority });
    this.#numbers.set(id, alarm.number);
    return entry;
  }

  #redefine(alarm: Alarm, definition: AlarmDefinition): readonly Entry[] {
    const { state, priority: before } = alarm.last;
    const { priority } = definition;
    alarm.definition = definition;
    if (!this.#restored) return [];
    if (priority !== before) {
      this.#metrics.andon_alarms.dec({ state, priority: before });
      this.#metrics.andon_alarms.inc({ state, priority });
      alarm.last = { ...alarm.last, priority };
      alarm.stored = { ...alarm.stored, priority };
      this.#announceNow(alarm);
    }
    return this.#putInService(alarm);
  }

  #end(alarm: Alarm): readonly Entry[] {
    this.#alarms.delete(alarm.definition.id);
    alarm.shelving?.cancel();
    if (!this.#restored) return [];
    const entries = alarm.last.state === 'normal' ? [] : [this.#ofConfig(alarm, normalFacts, 'returned-to-service')];
    this.#metrics.andon_alarms.dec({ state: 'normal', priority: alarm.definition.priority });
    this.#numbers.set(alarm.definition.id, alarm.number);
    return entries;
  }

  /** Adds an alarm after the start. */
  #add(alarm: Alarm): Alarm {
    const { id, priority } = alarm.definition;
    this.#alarms.set(id, alarm);
    if (this.#restored) this.#metrics.andon_alarms.inc({ state: alarm.last.state, priority });
    return alarm;
  }

  /** Announces the stored state, for subscribers that have an earlier one or none. */
  #announceNow({ stored }: Alarm): void {
    if (this.#restored) this.#events.emit({ type: 'alarm', transition: stored, id: undefined });
  }

  /** @throws {OperatingError} 'alarm-unknown', 'alarms-not-restored' */
  #alarm(id: string): Alarm {
    // Before alarms had ids, an alarm was addressed by its watch.
    const alarm = this.#alarms.get(id) ?? this.#alarms.get(watchAlarmId(id));
    if (alarm === undefined) throw alarmFailure('alarm-unknown', `There is no alarm '${id}'`);
    if (!this.#restored) throw alarmFailure('alarms-not-restored', 'The stored alarms could not be read yet');
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
    const nowMs = this.#deps.clock.nowMs();
    const entry = this.#change(alarm, facts, action(alarm, cause, by, nowMs, facts.shelvedUntilMs));
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
    this.#count(alarm.last.state, before.last.state, alarm.definition.priority);
    alarm.memory = { facts: before.facts, delay: alarm.memory.delay };
    alarm.last = before.last;
    this.#timeShelving(alarm);
  }

  #change(
    alarm: Alarm,
    changed: AlarmFacts,
    change: Pick<AlarmTransition, 'cause' | 'message' | 'parameters' | 'by' | 'timestampMs' | 'score'>,
  ): Entry {
    const { id: name, watch, priority } = alarm.definition;
    alarm.number += 1;
    const facts = alarmState(changed) === 'normal' ? normalFacts : changed;
    const transition: AlarmTransition = {
      alarm: name,
      watch,
      number: alarm.number,
      state: alarmState(facts),
      previous: alarm.last.state,
      priority,
      ...change,
      facts,
    };
    alarm.memory = { facts, delay: alarm.memory.delay };
    alarm.last = transition;
    this.#count(transition.previous, transition.state, transition.priority);
    this.#metrics.andon_alarm_transitions_total.inc({ alarm: name, state: transition.state });
    const { timestamp_ms: _time, present, ...payload } = alarmPayload(transition, undefined);
    const body = present === null ? payload : { ...payload, present };
    const draft = {
      kind: 'alarm',
      timestampMs: transition.timestampMs,
      watch,
      body,
      alarm: transition,
    } as const;
    return { draft, stored: (id) => this.#announce(alarm, transition, id) };
  }

  #announce(alarm: Alarm, transition: AlarmTransition, id: string): void {
    // A record that was kept for long may come after a newer one; subscribers must not fall back to the old state.
    if (transition.number <= alarm.stored.number) return;
    // Until the condition ends, the reason stays the same through the actions of operators.
    alarm.stored = transition.facts.active ? { ...transition, present: alarm.stored.present } : transition;
    if (transition.facts.suppression !== 'none' && !isAction(transition.cause)) return;
    this.#events.emit({ type: 'alarm', transition: alarm.stored, id });
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
    const change = action(alarm, 'shelving-ended', undefined, nowMs, undefined);
    this.#recorder.store([this.#change(alarm, endSuppression(facts), change)]);
  }
}
