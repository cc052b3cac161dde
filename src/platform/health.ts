import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** `starting` until the first report; `degraded` goes on with less; `failed` needs a human. */
export type ComponentState = 'starting' | 'ok' | 'degraded' | 'failed';

export type ComponentStatus = {
  readonly name: string;
  readonly status: ComponentState;
  /** For an operator: what is wrong, with names and numbers; '' while ok. */
  readonly reason: string;
  readonly sinceMs: EpochMs;
};

/** What a component is now; undefined where it is out of the report. */
export type HealthChange = { readonly name: string; readonly now: ComponentStatus | undefined };

export const healthMetrics = {
  andon_component_ok: {
    type: 'gauge',
    help: '1 while the component is ok, 0 while it is starting, degraded or failed.',
    labels: ['component'],
  },
} as const;

/** One component's own voice in the health report. */
export interface ComponentHealth {
  report(status: ComponentState, reason?: string): void;
  /** Takes the component out of the report, when a new configuration no longer has it. */
  remove(): void;
}

/** Who is well and who is not. Names look like `source/plc-1`, `uplink/cloud`, `model/pump-anomaly`, `outbox`. */
export class Health {
  readonly #components = new Map<string, ComponentStatus>();
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ok;
  readonly #onChange: (change: HealthChange) => void;

  /** @param onChange Told of every change of a component, for a report that this one is a part of. */
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
      report: (status, reason = '') => this.#report(name, status, reason),
      remove: () => this.#remove(name),
    };
  }

  /** Takes over what a part in another process reports, which has logged it already. */
  adopt({ name, now }: HealthChange): void {
    if (now === undefined) this.#remove(name);
    else this.#set(now);
  }

  /** Every component, in the order of their first report. */
  components(): readonly ComponentStatus[] {
    return [...this.#components.values()];
  }

  /** The worst of the components; 'ok' where there are none. */
  overall(): ComponentState {
    const states = new Set([...this.#components.values()].map(({ status }) => status));
    return (['failed', 'degraded', 'starting'] as const).find((state) => states.has(state)) ?? 'ok';
  }

  #report(name: string, status: ComponentState, reason: string): void {
    const before = this.#components.get(name);
    if (before?.status === status && before.reason === reason) return;
    const sinceMs = before?.status === status ? before.sinceMs : this.#clock.nowMs();
    this.#set({ name, status, reason, sinceMs });
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
