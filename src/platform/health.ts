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

  constructor(deps: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#ok = deps.metrics.of(healthMetrics).andon_component_ok;
  }

  component(name: string): ComponentHealth {
    this.#set(name, 'starting', '');
    return {
      report: (status, reason = '') => this.#report(name, status, reason),
      remove: () => {
        this.#components.delete(name);
        this.#ok.remove({ component: name });
      },
    };
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
    this.#set(name, status, reason, sinceMs);
    if (before?.status === status) return;
    const fields = { component: name, status, previous: before?.status };
    if (status === 'failed') this.#log.error(fields, reason);
    else if (status === 'degraded') this.#log.warn(fields, reason);
    else this.#log.info(fields, status === 'ok' ? 'Component ok.' : 'Component starting.');
  }

  #set(name: string, status: ComponentState, reason: string, sinceMs = this.#clock.nowMs()): void {
    this.#components.set(name, { name, status, reason, sinceMs });
    this.#ok.set({ component: name }, status === 'ok' ? 1 : 0);
  }
}
