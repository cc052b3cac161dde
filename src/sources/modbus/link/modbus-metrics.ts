import {
  counter,
  gauge,
  histogram,
  type MetricCatalogue,
  type Metrics,
  type MetricsOf,
} from '../../../platform/metrics.ts';

export const modbusMetrics = {
  andon_modbus_scans_total: counter('Scans that ended, with or without good responses.', ['source']),
  andon_modbus_missed_scans_total: counter(
    'Scans skipped because the previous scan of the same class was still running when they were due.',
    ['source'],
  ),
  andon_modbus_requests_total: counter('Read requests sent.', ['source']),
  andon_modbus_request_errors_total: counter('Failed reads by error code; each attempt counts.', ['source', 'code']),
  andon_modbus_request_duration_seconds: histogram(
    'Time from a request to its complete response; answered reads only.',
    ['source'],
  ),
  andon_modbus_reconnects_total: counter('Connection attempts after the first.', ['source']),
  andon_modbus_connected: gauge('1 while the device is connected.', ['source']),
  andon_modbus_tags_set_aside: gauge(
    'Tags disabled because the device refuses them; retried with waits of 5 s to 5 min.',
    ['source'],
  ),
  andon_modbus_units_away: gauge('Unit ids that do not answer; retried with growing waits.', ['source']),
} as const satisfies MetricCatalogue;

/** Metrics of one source, with their labels set. */
export class ModbusMeters {
  readonly #source: string;
  readonly #metrics: MetricsOf<typeof modbusMetrics>;
  readonly #duration;
  /** Not yet added to the metrics: a number costs less than a look-up of the labels with each request. */
  #scans = 0;
  #requests = 0;
  readonly #stopUpdates;

  constructor(metrics: Metrics, source: string) {
    this.#source = source;
    this.#metrics = metrics.of(modbusMetrics);
    this.#stopUpdates = metrics.beforeText(() => this.#update());
    this.#duration = this.#metrics.andon_modbus_request_duration_seconds.labels(source);
    this.connected(false);
    this.tagsDisabledState(0);
    this.unitsAway(0);
  }

  /** Adds the last counts. */
  close(): void {
    this.#update();
    this.#stopUpdates();
  }

  scan(): void {
    this.#scans += 1;
  }

  missedScans(count: number): void {
    if (count > 0) this.#metrics.andon_modbus_missed_scans_total.inc({ source: this.#source }, count);
  }

  request(): void {
    this.#requests += 1;
  }

  answer(durationMs: number): void {
    this.#duration.observe(durationMs / 1000);
  }

  error(code: string): void {
    this.#metrics.andon_modbus_request_errors_total.inc({ source: this.#source, code });
  }

  reconnect(): void {
    this.#metrics.andon_modbus_reconnects_total.inc({ source: this.#source });
  }

  connected(connected: boolean): void {
    this.#metrics.andon_modbus_connected.set({ source: this.#source }, connected ? 1 : 0);
  }

  tagsDisabledState(count: number): void {
    this.#metrics.andon_modbus_tags_set_aside.set({ source: this.#source }, count);
  }

  unitsAway(count: number): void {
    this.#metrics.andon_modbus_units_away.set({ source: this.#source }, count);
  }

  #update(): void {
    const labels = { source: this.#source };
    this.#metrics.andon_modbus_scans_total.inc(labels, this.#scans);
    this.#metrics.andon_modbus_requests_total.inc(labels, this.#requests);
    this.#scans = 0;
    this.#requests = 0;
  }
}
