import { setImmediate as nextTurn } from 'node:timers/promises';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { CsvFile } from '../csv/csv-file.ts';
import type { CsvRow } from '../csv/csv-row.ts';
import { ModbusDevice } from './modbus-device.ts';
import { emptyImage, putFloat32, putUint32 } from './register-image.ts';
import { replayTopics, ROW_INTERVAL_MS, rowCounterAddress } from './replay-sources.ts';
import { ValuePublisher } from './value-publisher.ts';
import { plantFailure } from './plant-errors.ts';

/** Longest replayed gap between two rows. Shortens a night's standstill. */
const GAP_MS_MAX = 60_000;

export type ReplayOptions = {
  /** 1 is as recorded, 10 ten times as fast. */
  readonly speed: number;
  /** Restarts after the last row, until stopped. */
  readonly loop: boolean;
  /** Port 0 selects a free port; undefined opens no device. */
  readonly modbus: { readonly host: string; readonly port: number } | undefined;
  /** Undefined publishes nothing. */
  readonly mqtt: { readonly url: string; readonly topicPrefix: string } | undefined;
};

export type ReplayProgress = {
  /** Rows replayed so far, over all rounds. */
  readonly rows: number;
  /** Messages dropped because the broker was unreachable or too slow. */
  readonly messagesDropped: number;
};

/**
 * Replays a recorded file as a live machine.
 *
 * Over Modbus each column is a float32 (ABCD) in holding registers 0, 2, 4, …, followed by a row counter; a
 * missing value is NaN. Rows are replaced atomically: no response mixes two rows. Over MQTT each column is a topic with
 * `{"value","timestamp_ms"}`, stamped with the time of publication; a missing value is not sent.
 *
 * The time between rows is the recorded time divided by `speed`. A row with an earlier time than the previous row
 * follows immediately.
 */
export class CsvReplay implements AsyncDisposable {
  readonly #file: CsvFile;
  readonly #options: ReplayOptions;
  readonly #deps: Deps;
  readonly #device: ModbusDevice | undefined;
  readonly #publisher: ValuePublisher | undefined;
  readonly #topics: readonly string[];
  readonly #stopping = new AbortController();
  #rows = 0;
  #running: Promise<void> | undefined;

  constructor(file: CsvFile, options: ReplayOptions, deps: Deps) {
    this.#file = file;
    this.#options = options;
    this.#deps = deps;
    this.#device = options.modbus === undefined ? undefined : new ModbusDevice();
    this.#publisher =
      options.mqtt === undefined ? undefined : new ValuePublisher({ url: options.mqtt.url, name: 'replay' }, deps);
    this.#topics = replayTopics(file.layout.columns, options.mqtt?.topicPrefix ?? '');
  }

  get progress(): ReplayProgress {
    return { rows: this.#rows, messagesDropped: this.#publisher?.dropped ?? 0 };
  }

  /**
   * Opens the device and connects. The first response already contains the first row.
   *
   * @returns The device's port; undefined without one.
   * @throws {OperatingError} 'modbus-listen-failed' (retry), or what reading the first row throws.
   */
  async listen(): Promise<number | undefined> {
    for await (const row of this.#file.rows()) {
      this.#device?.show(this.#image(row.values, 0));
      break;
    }
    this.#publisher?.start();
    const { modbus } = this.#options;
    return modbus === undefined ? undefined : this.#device?.listen(modbus.host, modbus.port);
  }

  /**
   * Replays the file; call it once, after `listen`. Resolves after the last row, or on disposal.
   *
   * @throws {OperatingError} What reading the file throws, 'csv-value-invalid' for one, with the line.
   */
  run(): Promise<void> {
    this.#running ??= this.#play();
    return this.#running;
  }

  /** Stops playing and closes device and connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    // The caller of `run` receives its error.
    await this.#running?.catch(() => undefined);
    await this.#publisher?.[Symbol.asyncDispose]();
    await this.#device?.[Symbol.asyncDispose]();
  }

  async #play(): Promise<void> {
    const { clock } = this.#deps;
    const { signal } = this.#stopping;
    const usualMs = this.#file.layout.intervalMs ?? ROW_INTERVAL_MS;
    let dueMs = clock.monotonicMs();
    do {
      let previous: CsvRow | undefined;
      for await (const row of this.#file.rows()) {
        if (this.#rows > 0) dueMs += gapMs(previous, row, usualMs) / this.#options.speed;
        previous = row;
        const waitMs = dueMs - clock.monotonicMs();
        // Lets the device respond even if rows are due faster than timers fire.
        await (waitMs > 0 ? sleep(clock, waitMs, signal) : nextTurn());
        if (signal.aborted) return;
        await this.#show(row);
      }
      if (previous === undefined)
        throw plantFailure('csv-empty', `${this.#file.layout.path} has lost its rows since it was opened`);
    } while (this.#options.loop);
  }

  async #show({ values }: CsvRow): Promise<void> {
    this.#rows += 1;
    this.#device?.show(this.#image(values, this.#rows));
    if (this.#publisher === undefined) return;
    const timestampMs = Math.round(this.#deps.clock.nowMs());
    const present = this.#topics.flatMap((topic, index) => {
      const value = values[index] ?? Number.NaN;
      return Number.isNaN(value) ? [] : [{ topic, payload: { value, timestamp_ms: timestampMs } }];
    });
    await this.#publisher.publish(present);
  }

  #image(values: Float64Array, row: number) {
    const counter = rowCounterAddress(this.#file.layout.columns);
    const holding = new Uint16Array(counter + 2);
    values.forEach((value, index) => putFloat32(holding, index * 2, value));
    putUint32(holding, counter, row);
    return { ...emptyImage, holding };
  }
}

/** Recorded time between two rows; the usual time between two rounds and in a file without times. */
function gapMs(previous: CsvRow | undefined, row: CsvRow, usualMs: number): number {
  if (previous?.timeMs === undefined || row.timeMs === undefined) return usualMs;
  return Math.min(Math.max(row.timeMs - previous.timeMs, 0), GAP_MS_MAX);
}
