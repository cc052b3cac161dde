import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Clock } from '../platform/clock.ts';
import { childEnvironment } from '../platform/child-environment.ts';
import { plantEntry } from '../platform/entries.ts';
import { OperatingError } from '../platform/errors.ts';
import type { PlantMessage, PlantOptions } from './plant-protocol.ts';
import type { PumpPhase } from './pump-scenario.ts';
import { plantFailure } from './plant-errors.ts';

/** Longest time for a clean stop; then the process is killed. */
const STOP_MS_MAX = 2000;

export type PlantEvents = {
  onPhase(phase: PumpPhase): void;
  /** Called if the process ends without a stop. */
  onExit(error: OperatingError): void;
};

/**
 * Starts the simulated plant in a separate process, so that demo and agent share no event loop. Resolves when the Modbus
 * device listens.
 *
 * @throws {OperatingError} 'modbus-listen-failed' | 'plant-exited' (retry).
 */
export async function startPlantProcess(
  options: PlantOptions,
  events: PlantEvents,
  clock: Clock,
): Promise<AsyncDisposable & { readonly modbusPort: number }> {
  const child = fork(plantEntry, [JSON.stringify(options)], {
    env: childEnvironment(),
  });
  // Only hosts/plant.ts sends messages on this channel.
  child.on('message', (message) => {
    const event = message as PlantMessage;
    if (event.type === 'phase') events.onPhase(event.phase);
  });
  const modbusPort = await listening(child);
  let isStopping = false;
  child.once('exit', (code, signal) => {
    if (!isStopping) events.onExit(exited(code, signal));
  });
  const stop = async (): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    if (child.connected) child.disconnect();
    const killing = clock.setTimer(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    killing.cancel();
  };
  return { modbusPort, [Symbol.asyncDispose]: stop };
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      const event = message as PlantMessage;
      if (event.type === 'listening') resolve(event.modbusPort);
      if (event.type === 'failed') reject(new OperatingError(event.code, 'retry', event.message));
    });
    child.once('exit', (code, signal) => reject(exited(code, signal)));
    child.once('error', (error) =>
      reject(plantFailure('plant-exited', `The plant cannot be started: ${error.message}`)),
    );
  });
}

function exited(code: number | null, signal: NodeJS.Signals | null): OperatingError {
  return plantFailure('plant-exited', `The simulated plant ended with ${signal ?? `code ${code}`}`);
}
