import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SystemClock } from '../../src/platform/clock.ts';
import type { OperatingError } from '../../src/platform/errors.ts';
import { MqttBroker } from '../../src/plant/mqtt-broker.ts';
import { startPlantProcess } from '../../src/plant/plant-process.ts';
import type { PlantOptions } from '../../src/plant/plant-protocol.ts';
import { demoTimings, type PumpPhase } from '../../src/plant/pump-scenario.ts';
import { modbusClient, readFloats } from './read-registers.ts';

const options: PlantOptions = {
  host: '127.0.0.1',
  modbusPort: 0,
  mqttUrl: undefined,
  vibrationTopic: 'line/pump-1/vibration',
  stepMs: 20,
  seed: 1,
  timings: demoTimings,
};

describe("the plant's process", () => {
  test('serves the pump, publishes its vibration and tells its phases', async () => {
    await using broker = await MqttBroker.listen({ port: 0 });
    const phases: PumpPhase[] = [];
    const received = new Promise<unknown>((resolve) => {
      broker.aedes.on('publish', ({ topic, payload }) => {
        if (topic === options.vibrationTopic) resolve(JSON.parse(payload.toString()));
      });
    });
    const timings = { normalMs: 100, bearingWearMs: 100, cavitationMs: 100, recoveringMs: 100 };
    await using plant = await startPlantProcess(
      { ...options, timings, mqttUrl: broker.url },
      { onPhase: (phase) => phases.push(phase), onExit: fail },
      new SystemClock(),
    );

    expect(await received).toEqual({ rms: expect.closeTo(0.9, 0), timestamp_ms: expect.closeTo(Date.now(), -5) });
    await using client = await modbusClient(plant.modbusPort);
    const [pressureBar] = await readFloats(client, 1);
    expect(pressureBar).toBeGreaterThan(1);
    expect((await client.readDiscreteInputs(3, 1)).data[0]).toBe(true);
    await expect.poll(() => new Set(phases).size).toBe(4);
  });

  test('a port that is taken is said to be so', async () => {
    await using first = await startPlantProcess(options, quiet, new SystemClock());
    await expect(
      startPlantProcess({ ...options, modbusPort: first.modbusPort }, quiet, new SystemClock()),
    ).rejects.toMatchObject({ code: 'modbus-listen-failed' });
  });

  test('has ended once stopped, and stopping is not a failure', async () => {
    const exits: OperatingError[] = [];
    const events = { ...quiet, onExit: (error: OperatingError) => exits.push(error) };
    const plant = await startPlantProcess(options, events, new SystemClock());
    await plant[Symbol.asyncDispose]();
    await plant[Symbol.asyncDispose]();
    expect(await isListening(plant.modbusPort)).toBe(false);
    expect(exits).toEqual([]);
  });

  test('ends when its parent is killed', async () => {
    const parent = spawn(process.execPath, [join(import.meta.dirname, 'plant-parent.ts'), JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const port = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())));
    });
    expect(await isListening(port)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isListening(port)).toBe(false);
  });
});

const quiet = { onPhase: () => undefined, onExit: () => undefined };

function fail(error: OperatingError): never {
  throw error;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
