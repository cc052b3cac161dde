import { type AlarmPriority, type AlarmTransition, diagnosticAlarmId } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { ComponentStatus } from '../platform/health.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { AlarmService } from './alarm-service.ts';
import type { LimitMonitor } from './limit-monitor.ts';
import type { Recorder } from './recorder.ts';

const LOOK_MS = 1000;
/** How long a component must be ok before its alarm clears, so that one that flaps is one alarm. */
const OFF_DELAY_MS = 10_000;
/** What fails within this time after a component that it needs fails because of it. */
const EXPLAINED_WITHIN_MS = 60_000;
/** Components that are one store for an operator. */
const storage: ReadonlySet<string> = new Set(['outbox', 'history', 'alarms']);

/** Something that does not work, and what does not work because of it. */
type Trouble = { readonly kind: string; readonly id: string; readonly sinceMs: EpochMs; readonly reason: string };

export type DiagnosticMonitorOptions = {
  readonly config: { readonly afterMs: number; readonly priority: AlarmPriority };
  /**
   * Health components that a watch (`watch/<id>`) or a tag (`tag/<name>`) depends on: `source/plc-1`, `model/pump-anomaly`.
   */
  readonly neededBy: ReadonlyMap<string, readonly string[]>;
  readonly limits: Pick<LimitMonitor, 'blind'>;
  readonly alarms: Pick<AlarmService, 'apply' | 'define' | 'isActive' | 'list'>;
  readonly recorder: Pick<Recorder, 'store'>;
  readonly deps: Deps;
};

/**
 * Raises an alarm `diagnostic/<kind>/<id>` for each component of the agent that has been in trouble for some time: a
 * source that is down, a watch that cannot judge, a store, an uplink, a tag with limits that has no good value. What does
 * not work only because something else does not work raises no alarm of its own.
 */
export class DiagnosticMonitor implements Disposable {
  readonly #options: DiagnosticMonitorOptions;
  #timer: Timer | undefined;

  constructor(options: DiagnosticMonitorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
    this.#timer = this.#options.deps.clock.setTimer(() => this.start(), LOOK_MS, { background: true });
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #look(): void {
    const { alarms, config, deps } = this.#options;
    const nowMs = deps.clock.nowMs();
    const all = this.#troubles().map((trouble) => [diagnosticAlarmId(trouble.kind, trouble.id), trouble] as const);
    const troubles = new Map(
      all.filter(([id, { sinceMs }]) => nowMs - sinceMs >= config.afterMs || alarms.isActive(id)),
    );
    for (const [id, trouble] of troubles) {
      alarms.define([diagnosticAlarm(id, config.priority)], 'stay');
      this.#apply(id, trouble, nowMs);
    }
    for (const { alarm } of alarms.list())
      if (isDiagnostic(alarm) && !troubles.has(alarm)) this.#apply(alarm, undefined, nowMs);
  }

  #troubles(): readonly Trouble[] {
    const { deps, limits, neededBy } = this.#options;
    const components = deps.health.components().filter(({ status }) => status !== 'ok');
    const inTrouble = new Map(components.map(({ name, sinceMs }) => [name, sinceMs]));
    // A component may be degraded for long by something small. That explains no trouble that comes later.
    const explains = (needed: string, sinceMs: EpochMs): boolean =>
      sinceMs - (inTrouble.get(needed) ?? Number.NaN) <= EXPLAINED_WITHIN_MS;
    const isExplained = (name: string, sinceMs: EpochMs): boolean =>
      (storage.has(name) && name !== 'outbox' && inTrouble.has('outbox')) ||
      (neededBy.get(name) ?? []).some((needed) => explains(needed, sinceMs));
    return [
      ...components.filter(({ name, sinceMs }) => !isExplained(name, sinceMs)).map(componentTrouble),
      ...limits
        .blind()
        .filter(({ tag, sinceMs }) => !isExplained(`tag/${tag.name}`, sinceMs))
        .map(({ tag, sinceMs }) => ({
          kind: 'tag',
          id: tag.name,
          sinceMs,
          reason: 'it has no good value, so its limits are not watched',
        })),
    ];
  }

  #apply(id: string, trouble: Trouble | undefined, nowMs: EpochMs): void {
    const { alarms, recorder } = this.#options;
    const { reason = '' } = trouble ?? {};
    const name = nameOf(id);
    const entries = alarms.apply({
      alarm: id,
      condition: trouble === undefined ? 'normal' : 'abnormal',
      timestampMs: nowMs,
      score: undefined,
      suppressed: false,
      raises: () => ({
        cause: 'component-in-trouble',
        message: `${name} does not work: ${reason}`,
        parameters: { component: name, reason },
      }),
      clears: () => `${name} works again.`,
    });
    if (entries.length > 0) recorder.store(entries);
  }
}

/** Returns the definition of a stored diagnostic alarm that is not normal; undefined for other alarms. */
export function storedDiagnosticAlarm({ alarm, state, priority }: AlarmTransition): AlarmDefinition | undefined {
  return isDiagnostic(alarm) && state !== 'normal' ? diagnosticAlarm(alarm, priority) : undefined;
}

function diagnosticAlarm(id: string, priority: AlarmPriority): AlarmDefinition {
  return { id, watch: '', title: nameOf(id), onDelayMs: 0, offDelayMs: OFF_DELAY_MS, priority, outOfService: false };
}

function isDiagnostic(alarm: string): boolean {
  return alarm.startsWith('diagnostic/');
}

/** Returns the name of the component of an alarm, for sentences: `source plc-1`. */
function nameOf(id: string): string {
  return id.slice(id.indexOf('/') + 1).replace('/', ' ');
}

function componentTrouble({ name, sinceMs, reason, status }: ComponentStatus): Trouble {
  const [kind = '', ...rest] = name.split('/');
  const text = reason === '' ? `it is ${status}` : reason;
  if (rest.length > 0) return { kind, id: rest.join('/'), sinceMs, reason: text };
  return { kind: storage.has(name) ? 'storage' : 'agent', id: name, sinceMs, reason: text };
}
