import { gauge, type Metrics } from './metrics.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

/** `starting` until the first report; `degraded` continues with limits; `failed` needs an operator. */
export type ComponentState = 'starting' | 'ok' | 'degraded' | 'failed';

export type ComponentStatus = {
  readonly name: string;
  readonly status: ComponentState;
  /** Reason for an operator, with names and numbers; '' while ok. */
  readonly reason: string;
  /** Stable code of the reason, for translations: a heading of docs/errors.md; undefined without one. */
  readonly code?: string | undefined;
  readonly sinceMs: EpochMs;
};

/** New status of a component; undefined after its removal. */
export type HealthChange = { readonly name: string; readonly now: ComponentStatus | undefined };

export const healthMetrics = {
  andon_component_ok: gauge('1 while the component is ok, 0 while it is starting, degraded or failed.', ['component']),
} as const;

/** Reports the health of one component. */
export interface ComponentHealth {
  /** @param code Stable code of the reason, for translations: that of the error. */
  report(status: ComponentState, reason?: string, code?: string): void;
  /** Removes the component from the report, for a new configuration without it. */
  remove(): void;
}

/** Health of all components. Names look like `source/plc-1`, `uplink/cloud`, `model/pump-anomaly`, `outbox`. */
export class Health {
  readonly #components = new Map<string, ComponentStatus>();
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ok;
  readonly #onChange: (change: HealthChange) => void;

  /** @param onChange Called for every change, for a process that forwards its health to another. */
  constructor(
    deps: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
    onChange: (change: HealthChange) => void = () => undefined,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#ok = deps.metrics.of(healthMetrics).andon_component_ok;
    this.#onChange = onChange;
  }

  component(name: string): ComponentHealth {
    this.#set({ name, status: 'starting', reason: '', sinceMs: this.#clock.nowMs() });
    return {
      report: (status, reason = '', code?: string) => this.#report({ name, status, reason, code }),
      remove: () => this.#remove(name),
    };
  }

  /** Adopts the status of a component in another process, which already logged it. */
  adopt({ name, now }: HealthChange): void {
    if (now === undefined) this.#remove(name);
    else this.#set(now);
  }

  /** Returns all components, in the order of their first report. */
  components(): readonly ComponentStatus[] {
    return [...this.#components.values()];
  }

  /** Returns the worst state of all components; 'ok' without components. */
  overall(): ComponentState {
    const states = new Set([...this.#components.values()].map(({ status }) => status));
    return (['failed', 'degraded', 'starting'] as const).find((state) => states.has(state)) ?? 'ok';
  }

  #report(report: Omit<ComponentStatus, 'sinceMs'>): void {
    const { name, status, reason, code } = report;
    const before = this.#components.get(name);
    if (before?.status === status && before.reason === reason && before.code === code) return;
    const sinceMs = before?.status === status ? before.sinceMs : this.#clock.nowMs();
    this.#set({ ...report, sinceMs });
    if (before?.status === status) return;
    const fields = { component: name, status, previous: before?.status };
    if (status === 'failed') this.#log.error(fields, reason);
    else if (status === 'degraded') this.#log.warn(fields, reason);
    else this.#log.info(fields, status === 'ok' ? 'Component ok.' : 'Component starting.');
  }

  #set(status: ComponentStatus): void {
    this.#components.set(status.name, status);
    this.#ok.set({ component: status.name }, status.status === 'ok' ? 1 : 0);
    this.#onChange({ name: status.name, now: status });
  }

  #remove(name: string): void {
    this.#components.delete(name);
    this.#ok.remove({ component: name });
    this.#onChange({ name, now: undefined });
  }
}
