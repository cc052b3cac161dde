import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { ModbusDevice } from './modbus-device.ts';
import type { PlantMessage, PlantOptions } from './plant-protocol.ts';
import { PumpPlant } from './pump-plant.ts';
import { pumpRegisters } from './pump-registers.ts';
import type { PumpPhase } from './pump-scenario.ts';
import { seededRandom } from './seeded-random.ts';
import { ValuePublisher } from './value-publisher.ts';

/** After a longer stall the simulation skips the time, instead of integrating it in one coarse step. */
const STEP_MS_MAX = 1000;

/** The simulated pump in real time: a Modbus device for the PLC, MQTT messages of the vibration sensor. */
export class LivePlant implements AsyncDisposable {
  readonly #options: PlantOptions;
  readonly #deps: Deps;
  readonly #send: (message: PlantMessage) => void;
  readonly #plant: PumpPlant;
  readonly #device = new ModbusDevice();
  readonly #publisher: ValuePublisher | undefined;
  #timer: Timer | undefined;
  #startMs = 0;
  #steps = 0;
  #phase: PumpPhase | undefined;

  constructor(options: PlantOptions, deps: Deps, send: (message: PlantMessage) => void) {
    this.#options = options;
    this.#deps = deps;
    this.#send = send;
    this.#plant = new PumpPlant({ random: seededRandom(options.seed), timings: options.timings });
    this.#publisher =
      options.mqttUrl === undefined
        ? undefined
        : new ValuePublisher({ url: options.mqttUrl, name: 'vibration-sensor' }, deps);
  }

  /** @throws {OperatingError} 'modbus-listen-failed' (retry). */
  async start(): Promise<void> {
    this.#startMs = this.#deps.clock.monotonicMs();
    this.#step();
    const modbusPort = await this.#device.listen(this.#options.host, this.#options.modbusPort);
    this.#send({ type: 'listening', modbusPort });
    this.#publisher?.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#publisher?.[Symbol.asyncDispose]();
    await this.#device[Symbol.asyncDispose]();
  }

  /** Steps at ideal times, so that the plant keeps its pace. Steps that a stall delayed are skipped. */
  #step(): void {
    const { clock } = this.#deps;
    const { stepMs } = this.#options;
    const due = Math.floor((clock.monotonicMs() - this.#startMs) / stepMs) + 1;
    this.#show(Math.max(due - this.#steps, 1) * stepMs);
    this.#steps = Math.max(due, this.#steps + 1);
    const nextMs = this.#startMs + this.#steps * stepMs;
    this.#timer = clock.setTimer(() => this.#step(), nextMs - clock.monotonicMs());
  }

  #show(elapsedMs: number): void {
    const reading = this.#plant.step(Math.min(elapsedMs, STEP_MS_MAX));
    this.#device.show(pumpRegisters(reading));
    const payload = { rms: reading.vibrationG, timestamp_ms: Math.round(this.#deps.clock.nowMs()) };
    // Not awaited: a message that cannot be sent is dropped and counted, and the next step has a new value.
    void this.#publisher?.publish([{ topic: this.#options.vibrationTopic, payload }]);
    if (reading.phase === this.#phase) return;
    this.#phase = reading.phase;
    this.#send({ type: 'phase', phase: reading.phase });
  }
}
