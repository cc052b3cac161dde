import type { MetricCatalogue, Metrics, MetricsOf } from '../../../platform/metrics.ts';

export const modbusMetrics = {
  andon_modbus_scans_total: {
    type: 'counter',
    help: 'Scans that ended, whatever became of their reads.',
    labels: ['source'],
  },
  andon_modbus_missed_scans_total: {
    type: 'counter',
    help: 'Scans that fell due while an earlier one of their class still ran, and were left out.',
    labels: ['source'],
  },
  andon_modbus_requests_total: {
    type: 'counter',
    help: 'Read requests that were sent.',
    labels: ['source'],
  },
  andon_modbus_request_errors_total: {
    type: 'counter',
    help: 'Reads that failed, by error code; a read that is tried twice can fail twice.',
    labels: ['source', 'code'],
  },
  andon_modbus_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from a request to its whole answer; answered reads only.',
    labels: ['source'],
  },
  andon_modbus_reconnects_total: {
    type: 'counter',
    help: 'Connections tried after the first.',
    labels: ['source'],
  },
  andon_modbus_connected: {
    type: 'gauge',
    help: '1 while there is a connection to the device.',
    labels: ['source'],
  },
  andon_modbus_tags_set_aside: {
    type: 'gauge',
    help: 'Tags that the device refuses; they are tried again now and then.',
    labels: ['source'],
  },
  andon_modbus_units_away: {
    type: 'gauge',
    help: 'Unit ids that do not answer; they are tried again now and then.',
    labels: ['source'],
  },
} as const satisfies MetricCatalogue;

/** The metrics of one source, with their labels filled in. */
export class ModbusMeters {
  readonly #source: string;
  readonly #metrics: MetricsOf<typeof modbusMetrics>;
  readonly #duration;

  constructor(metrics: Metrics, source: string) {
    this.#source = source;
    this.#metrics = metrics.of(modbusMetrics);
    this.#duration = this.#metrics.andon_modbus_request_duration_seconds.labels(source);
    this.connected(false);
    this.tagsSetAside(0);
    this.unitsAway(0);
  }

  scan(): void {
    this.#metrics.andon_modbus_scans_total.inc({ source: this.#source });
  }

  missedScans(count: number): void {
    if (count > 0) this.#metrics.andon_modbus_missed_scans_total.inc({ source: this.#source }, count);
  }

  request(): void {
    this.#metrics.andon_modbus_requests_total.inc({ source: this.#source });
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

  tagsSetAside(count: number): void {
    this.#metrics.andon_modbus_tags_set_aside.set({ source: this.#source }, count);
  }

  unitsAway(count: number): void {
    this.#metrics.andon_modbus_units_away.set({ source: this.#source }, count);
  }
}
