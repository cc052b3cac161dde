import type { Deps } from '../platform/deps.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { notifyMetrics } from './notify-metrics.ts';

/** Health, log and metrics of one channel, as component `notify/<id>`. */
export class ChannelReport {
  readonly #id: string;
  readonly #deps: Deps;
  readonly #health: ComponentHealth;
  readonly #metrics;
  #failure: string | undefined;
  #storeFailure: string | undefined;
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
    this.#failure = errorMessage(error);
  }

  /** @param alarms Ids of the alarms of a message that is not sent again. */
  refused(error: unknown, alarms: readonly string[]): void {
    this.failed(error);
    this.#failure = `A message about ${alarms.length} alarms was refused and dropped: ${errorMessage(error)}`;
    this.#metrics.andon_notify_dropped_total.inc({ channel: this.#id }, alarms.length);
    this.#deps.log.error({ channel: this.#id, alarms }, this.#failure);
  }

  /** @param failure Undefined if the records could be read and the state stored. */
  stored(failure: unknown): void {
    this.#storeFailure = failure === undefined ? undefined : errorMessage(failure);
    this.#show();
  }

  close(): void {
    this.#health.remove();
    this.#metrics.andon_notify_waiting.remove({ channel: this.#id });
  }

  #show(): void {
    const reason = this.#failure ?? this.#storeFailure;
    const waiting =
      this.#waiting === 0 ? [] : [`${this.#waiting} ${this.#waiting === 1 ? 'alarm waits' : 'alarms wait'}`];
    const text = [...(reason === undefined ? [] : [reason]), ...waiting].join('; ');
    this.#health.report(reason === undefined ? 'ok' : 'degraded', text);
  }
}
