import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { notifyMetrics } from './notify-metrics.ts';

type Failure = { readonly reason: string; readonly code: string };

/** Health, log and metrics of one channel, as component `notify/<id>`. */
export class ChannelReport {
  readonly #id: string;
  readonly #deps: Deps;
  readonly #health: ComponentHealth;
  readonly #metrics;
  #failure: Failure | undefined;
  #storeFailure: Failure | undefined;
  #waiting = 0;

  constructor(id: string, deps: Deps) {
    this.#id = id;
    this.#deps = deps;
    this.#health = deps.health.component(`notify/${id}`);
    this.#metrics = deps.metrics.of(notifyMetrics);
  }

  waiting(count: number): void {
    this.#waiting = count;
    this.#metrics.andon_notify_waiting.set({ channel: this.#id }, count);
    this.#show();
  }

  sent(): void {
    this.#metrics.andon_notify_messages_total.inc({ channel: this.#id });
    this.#failure = undefined;
  }

  failed(error: unknown): void {
    this.#metrics.andon_notify_failures_total.inc({ channel: this.#id, code: errorCode(error) });
    this.#failure = { reason: errorMessage(error), code: errorCode(error) };
  }

  /** @param alarms Ids of the alarms of a message that is not sent again. */
  refused(error: unknown, alarms: readonly string[]): void {
    this.failed(error);
    const reason = `A message about ${alarms.length} alarms was refused and dropped: ${errorMessage(error)}`;
    this.#failure = { reason, code: errorCode(error) };
    this.#metrics.andon_notify_dropped_total.inc({ channel: this.#id }, alarms.length);
    this.#deps.log.error({ channel: this.#id, alarms }, reason);
  }

  /** @param failure Undefined if the records could be read and the state stored. */
  stored(failure: unknown): void {
    this.#storeFailure =
      failure === undefined ? undefined : { reason: errorMessage(failure), code: errorCode(failure) };
    this.#show();
  }

  close(): void {
    this.#health.remove();
    this.#metrics.andon_notify_waiting.remove({ channel: this.#id });
  }

  #show(): void {
    const failure = this.#failure ?? this.#storeFailure;
    const waiting =
      this.#waiting === 0 ? [] : [`${this.#waiting} ${this.#waiting === 1 ? 'alarm waits' : 'alarms wait'}`];
    const text = [...(failure === undefined ? [] : [failure.reason]), ...waiting].join('; ');
    this.#health.report(failure === undefined ? 'ok' : 'degraded', text, failure?.code);
  }
}
