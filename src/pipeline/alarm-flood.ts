import type { AlarmFlood } from '../contracts/alarm-commands.ts';
import type { LiveEvents } from '../contracts/live-events.ts';
import { isAction, type AlarmCause } from '../domain/alarm/alarm.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { alarmMetrics } from './alarm-metrics.ts';

/** An operator can handle about one alarm a minute. @see ANSI/ISA-18.2-2016, clause 16.5 (alarm floods). */
const RAISED_MAX = 10;
const WINDOW_MS = 600_000;

/** Counts alarms that were raised in the last ten minutes; more than ten are a flood. */
export class AlarmFloodMonitor implements Disposable {
  readonly #deps: Deps;
  readonly #unsubscribe: () => void;
  #timer: Timer | undefined;
  #raised: { readonly timestampMs: EpochMs; readonly cause: AlarmCause }[] = [];

  constructor(events: LiveEvents, deps: Deps) {
    this.#deps = deps;
    this.#unsubscribe = events.subscribe((event) => {
      if (event.type !== 'alarm' || event.id === undefined) return;
      const { cause, facts } = event.transition;
      if (!facts.active || isAction(cause)) return;
      this.#raised.push({ timestampMs: deps.clock.nowMs(), cause });
      this.flood();
      this.#timer?.cancel();
      this.#timer = deps.clock.setTimer(() => this.flood(), WINDOW_MS + 1, { background: true });
    });
  }

  flood(): AlarmFlood {
    const sinceMs = this.#deps.clock.nowMs() - WINDOW_MS;
    const untilMs = sinceMs + WINDOW_MS;
    this.#raised = this.#raised.filter(({ timestampMs }) => timestampMs > sinceMs && timestampMs <= untilMs);
    const byCause = new Map<string, number>();
    for (const { cause } of this.#raised) byCause.set(cause, (byCause.get(cause) ?? 0) + 1);
    const isFlood = this.#raised.length > RAISED_MAX;
    this.#deps.metrics.of(alarmMetrics).andon_alarm_flood.set(isFlood ? 1 : 0);
    return { isFlood, raised: this.#raised.length, byCause };
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#timer?.cancel();
  }
}
