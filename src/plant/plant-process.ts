import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Clock } from '../platform/clock.ts';
import { entryFile } from '../platform/entry-file.ts';
import { OperatingError } from '../platform/errors.ts';
import type { PlantMessage, PlantOptions } from './plant-protocol.ts';
import type { PumpPhase } from './pump-scenario.ts';

/** Time to say goodbye; then the process is killed. */
const STOP_MS_MAX = 2000;

export type PlantEvents = {
  onPhase(phase: PumpPhase): void;
  /** Called if the process ends without a stop. */
  onExit(error: OperatingError): void;
};

/** The simulated plant in a process of its own, so that demo and agent share no event loop. */
export class PlantProcess implements AsyncDisposable {
  readonly modbusPort: number;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  #stopping = false;

  private constructor(child: ChildProcess, modbusPort: number, clock: Clock) {
    this.#child = child;
    this.modbusPort = modbusPort;
    this.#clock = clock;
  }

  /**
   * Resolves once the Modbus device listens.
   *
   * @throws {OperatingError} 'modbus-listen-failed' | 'plant-exited' (retry).
   */
  static async start(options: PlantOptions, events: PlantEvents, clock: Clock): Promise<PlantProcess> {
    const child = fork(entryFile(import.meta.url, '../hosts/plant.ts'), [JSON.stringify(options)]);
    // What comes over the channel is what our own entry file sends.
    child.on('message', (message) => {
      const { type, ...rest } = message as PlantMessage;
      if (type === 'phase' && 'phase' in rest) events.onPhase(rest.phase);
    });
    const modbusPort = await listening(child);
    const plant = new PlantProcess(child, modbusPort, clock);
    child.once('exit', (code, signal) => {
      if (!plant.#stopping) events.onExit(exited(code, signal));
    });
    return plant;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    const killing = this.#clock.setTimer(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    killing.cancel();
  }
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      const told = message as PlantMessage;
      if (told.type === 'listening') resolve(told.modbusPort);
      if (told.type === 'failed') reject(new OperatingError(told.code, 'retry', told.message));
    });
    child.once('exit', (code, signal) => reject(exited(code, signal)));
    child.once('error', (error) =>
      reject(new OperatingError('plant-exited', 'retry', `The plant can not be started: ${error.message}`)),
    );
  });
}

function exited(code: number | null, signal: NodeJS.Signals | null): OperatingError {
  return new OperatingError('plant-exited', 'retry', `The simulated plant ended with ${signal ?? `code ${code}`}`);
}
