import { type AlarmPriority, type AlarmTransition, diagnosticAlarmId } from '../domain/alarm/alarm.ts';
import { coded } from '../domain/alarm/unknown-reasons.ts';
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
/** What fails within this time after a component that it needs fails because of it. So do parts of one broker. */
const EXPLAINED_WITHIN_MS = 60_000;
/** Components that are one store for an operator. */
const storage: ReadonlySet<string> = new Set(['outbox', 'history', 'alarms']);

/** Something that does not work. */
type Trouble = {
  /** Health component, or `tag/<name>`. */
  readonly name: string;
  readonly kind: string;
  readonly id: string;
  readonly sinceMs: EpochMs;
  readonly reason: string;
  /** Code of the reason; undefined without one. */
  readonly code?: string | undefined;
};

/** Components that do not work because of the same thing, by the one with the alarm. */
type Causes = ReadonlyMap<string, readonly Trouble[]>;

export type DiagnosticMonitorOptions = {
  readonly config: { readonly afterMs: number; readonly priority: AlarmPriority };
  /**
   * Health components and tags that a watch (`watch/<id>`) or a tag (`tag/<name>`) depends on: `source/plc-1`,
   * `model/pump-anomaly`, `tag/current`.
   */
  readonly neededBy: ReadonlyMap<string, readonly string[]>;
  /**
   * Things without health that components depend on: the address of a broker, the inputs of a derived tag. Of components that
   * share one and fail together, the first in this order has the alarm.
   */
  readonly sharedBy: ReadonlyMap<string, readonly string[]>;
  readonly limits: Pick<LimitMonitor, 'blind'>;
  readonly alarms: Pick<AlarmService, 'apply' | 'define' | 'factsOf' | 'list'>;
  readonly recorder: Pick<Recorder, 'store'>;
  readonly deps: Deps;
};

/**
 * Raises an alarm `diagnostic/<kind>/<id>` for each component of the agent that has been in trouble for some time: a
 * source that is down, a watch that cannot judge, a store, an uplink, a tag with limits that has no good value. What does
 * not work only because something else does not work raises no alarm of its own, and gets the full time after that works
 * again.
 */
export class DiagnosticMonitor implements Disposable {
  readonly #options: DiagnosticMonitorOptions;
  /** Last time at which the trouble of a component was explained by another one. */
  readonly #explainedMs = new Map<string, EpochMs>();
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
    const found = this.#troubles();
    const causes = this.#causes(found, nowMs);
    const raised = [...causes].flatMap(([name, others]) => {
      const trouble = found.find((each) => each.name === name);
      if (trouble === undefined) return [];
      const id = alarmId(trouble);
      const firstMs = Math.min(trouble.sinceMs, ...others.map((other) => other.sinceMs));
      const sinceMs = Math.max(firstMs, this.#explainedMs.get(name) ?? -Infinity);
      const isDue = nowMs - sinceMs >= config.afterMs || alarms.factsOf(id)?.active === true;
      return isDue ? [[id, withOthers(trouble, others)] as const] : [];
    });
    const troubles = new Map(raised);
    for (const [id, trouble] of troubles) {
      alarms.define([diagnosticAlarm(id, config.priority)], 'stay');
      this.#apply(id, trouble, nowMs);
    }
    for (const { alarm } of alarms.list())
      if (isDiagnostic(alarm) && !troubles.has(alarm)) this.#apply(alarm, undefined, nowMs);
  }

  #troubles(): readonly Trouble[] {
    const { deps, limits } = this.#options;
    const blind = limits.blind().map(({ tag, sinceMs }) => ({
      name: `tag/${tag.name}`,
      kind: 'tag',
      id: tag.name,
      sinceMs,
      reason: 'it has no good value, so its limits are not watched',
    }));
    return [
      ...deps.health
        .components()
        .filter(({ status }) => status !== 'ok')
        .map(componentTrouble),
      ...blind,
    ];
  }

  /** Divides the troubles by their causes. */
  #causes(troubles: readonly Trouble[], nowMs: EpochMs): Causes {
    const { neededBy, sharedBy } = this.#options;
    const byName = new Map(troubles.map((trouble) => [trouble.name, trouble]));
    for (const name of this.#explainedMs.keys()) if (!byName.has(name)) this.#explainedMs.delete(name);
    const causes = new Map<string, Trouble[]>();
    // A component may be degraded for long by something small. That explains no trouble that comes later.
    const isExplained = ({ name, sinceMs }: Trouble): boolean =>
      (storage.has(name) && name !== 'outbox' && byName.has('outbox')) ||
      (neededBy.get(name) ?? []).some(
        (needed) => sinceMs - (byName.get(needed)?.sinceMs ?? Number.NaN) <= EXPLAINED_WITHIN_MS,
      );
    const order = [...sharedBy.keys()];
    const rank = (trouble: Trouble): number =>
      this.#options.alarms.factsOf(alarmId(trouble))?.active === true ? -1 : order.indexOf(trouble.name);
    // A stable sort: an alarm that is raised already keeps its component.
    for (const trouble of troubles.toSorted((a, b) => rank(a) - rank(b))) {
      const first = isExplained(trouble)
        ? undefined
        : [...causes.keys()].find((name) => this.#isShared(trouble, byName.get(name)));
      if (first !== undefined) causes.get(first)?.push(trouble);
      else if (!isExplained(trouble)) {
        causes.set(trouble.name, []);
        continue;
      }
      this.#explainedMs.set(trouble.name, nowMs);
    }
    return causes;
  }

  /** True if two components depend on the same thing and failed at the same time. */
  #isShared(trouble: Trouble, other: Trouble | undefined): boolean {
    const { sharedBy } = this.#options;
    const things = sharedBy.get(trouble.name) ?? [];
    if (other === undefined || Math.abs(trouble.sinceMs - other.sinceMs) > EXPLAINED_WITHIN_MS) return false;
    return sharedBy.get(other.name)?.some((thing) => things.includes(thing)) === true;
  }

  #apply(id: string, trouble: Trouble | undefined, nowMs: EpochMs): void {
    const { alarms, recorder } = this.#options;
    const { reason = '' } = trouble ?? {};
    const name = nameOf(id);
    const message = `${name} does not work: ${reason}`;
    const entries = alarms.apply({
      alarm: id,
      condition: trouble === undefined ? 'normal' : 'abnormal',
      timestampMs: nowMs,
      score: undefined,
      suppressed: false,
      raises: () => ({
        cause: 'component-in-trouble',
        message,
        parameters: { ...codedParameters(reason, trouble?.code), component: name, reason },
      }),
      present: message,
      clears: () => ({ message: `${name} works again.`, parameters: { component: name } }),
    });
    if (entries.length > 0) recorder.store(entries);
  }
}

/** Returns the definition of a stored diagnostic alarm that is not normal; undefined for other alarms. */
export function storedDiagnosticAlarm({ alarm, state, priority }: AlarmTransition): AlarmDefinition | undefined {
  return isDiagnostic(alarm) && state !== 'normal' ? diagnosticAlarm(alarm, priority) : undefined;
}

function diagnosticAlarm(id: string, priority: AlarmPriority): AlarmDefinition {
  return {
    id,
    watch: undefined,
    title: nameOf(id),
    onDelayMs: 0,
    offDelayMs: OFF_DELAY_MS,
    priority,
    outOfService: false,
  };
}

function isDiagnostic(alarm: string): boolean {
  return alarm.startsWith('diagnostic/');
}

/** Returns the name of the component of an alarm, for sentences: `source plc-1`. */
function nameOf(id: string): string {
  return id.slice(id.indexOf('/') + 1).replace('/', ' ');
}

/** Values of the reason with its code, for translations; empty for a reason without a code. */
function codedParameters(reason: string, code: string | undefined): Readonly<Record<string, string>> {
  if (code !== undefined) return { reason_code: code };
  const found = coded(reason);
  return found === undefined ? {} : { ...found.parameters, reason_code: found.code };
}

function componentTrouble({ name, sinceMs, reason, code, status }: ComponentStatus): Trouble {
  const [kind = '', ...rest] = name.split('/');
  const text = reason === '' ? `it is ${status}` : reason;
  if (rest.length > 0) return { name, kind, id: rest.join('/'), sinceMs, reason: text, code };
  return { name, kind: storage.has(name) ? 'storage' : 'agent', id: name, sinceMs, reason: text, code };
}

function alarmId({ kind, id }: Trouble): string {
  return diagnosticAlarmId(kind, id);
}

/** Adds what else does not work because of the same thing. */
function withOthers(trouble: Trouble, others: readonly Trouble[]): Trouble {
  if (others.length === 0) return trouble;
  const also = others.map((other) => nameOf(alarmId(other))).toSorted();
  return { ...trouble, reason: `${trouble.reason}. Also affected: ${also.join(', ')}` };
}
