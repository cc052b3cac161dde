import { describe, expect, test } from 'vitest';
import type { OutputCommand, OutputInputs } from '../../src/contracts/outputs/output.ts';
import type { OutputFacts } from '../../src/domain/output/output-demand.ts';
import { modbusOutputs } from '../../src/outputs/modbus/modbus-output.ts';
import { type ModbusOutputConfig, modbusOutputSchema } from '../../src/outputs/modbus/modbus-output-config.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryRecordStore } from '../support/memory-record-store.ts';
import { metricValue, testDeps } from '../support/test-deps.ts';
import { WritableDevice } from '../support/writable-device.ts';

/** The facts, as a test sets them. */
class Inputs implements OutputInputs {
  #facts: OutputFacts = {
    alarms: [],
    watches: new Map([['pump', undefined]]),
    blindTags: new Set(),
    storageFault: undefined,
  };
  readonly #listeners = new Set<() => void>();

  facts(): OutputFacts {
    return this.#facts;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(more: Partial<OutputFacts>): void {
    this.#facts = { ...this.#facts, ...more };
    for (const listener of this.#listeners) listener();
  }

  blind(): void {
    this.set({ watches: new Map([['pump', 'tag stale']]) });
  }

  judges(): void {
    this.set({ watches: new Map([['pump', undefined]]) });
  }
}

const base = {
  type: 'modbus',
  unitId: 3,
  write: { coil: 17 },
  on: { monitoring: ['pump'] },
  safe: 'off',
  dryRun: false,
  rateLimit: '0ms',
  retry: { first: '10ms', max: '20ms' },
  timeout: '2s',
};

function configOf(device: { readonly url: string }, more: object = {}): ModbusOutputConfig {
  return modbusOutputSchema.parse({ ...base, url: device.url, ...more });
}

function outputOn(config: ModbusOutputConfig, factory = modbusOutputs()) {
  const deps = testDeps();
  const inputs = new Inputs();
  const records = new MemoryRecordStore();
  const audited: OutputCommand[] = [];
  const output = factory.create({
    id: 'lamp',
    agentId: 'edge',
    config,
    inputs,
    records: Object.assign(records, { lost: () => undefined }),
    audit: async (command) => void audited.push(command),
    deps,
  });
  const health = () => deps.health.components().find(({ name }) => name === 'output/lamp');
  return { output, inputs, records, audited, deps, health };
}

const values = (device: WritableDevice) => device.writes.map(({ value }) => value);
const commands = (records: MemoryRecordStore) =>
  records.stored.map(({ kind, body }): Record<string, unknown> => ({ kind, ...(JSON.parse(body) as object) }));

describe('an output on a Modbus device', () => {
  test.each([
    [5, { coil: 17 }, 'off'],
    [15, { coil: 17, multiple: true }, 'off'],
    [6, { register: 40 }, 0],
    [16, { register: 40, multiple: true }, 0],
  ])('is written with function code %i, and is safe after a stop', async (functionCode, write, safe) => {
    await using device = await WritableDevice.listen();
    const { output } = outputOn(configOf(device, { write, safe }));
    output.start();
    await device.until(() => device.writes.length === 1);
    expect(device.writes[0]).toEqual({ functionCode, address: 'coil' in write ? 17 : 40, value: 1 });
    await output[Symbol.asyncDispose]();
    expect(device.writes.at(-1)?.value).toBe(0);
  });

  test('follows its watch, and each command is a record and in the audit log', async () => {
    await using device = await WritableDevice.listen();
    const { output, inputs, records, audited, health } = outputOn(configOf(device, { values: { on: 0, off: 1 } }));
    output.start();
    await device.until(() => device.writes.length === 1);
    inputs.blind();
    await device.until(() => device.writes.length === 2);
    await expect.poll(() => health()?.status).toBe('ok');
    await output[Symbol.asyncDispose]();
    expect(values(device)).toEqual([0, 1, 1]);
    expect(commands(records)).toMatchObject([
      {
        kind: 'output',
        output: 'lamp',
        show: 'on',
        value: 0,
        outcome: 'written',
        target: expect.stringMatching(/^coil 17 of unit 3 at 127/),
      },
      { show: 'off', value: 1, reason: 'pump has no present verdict: tag stale' },
      { show: 'safe', value: 1, reason: 'andon stops' },
    ]);
    expect(audited.map(({ show }) => show)).toEqual(['on', 'off', 'safe']);
  });

  test('writes nothing in a dry run, and records what it would write', async () => {
    await using device = await WritableDevice.listen();
    const { output, records, health } = outputOn(configOf(device, { dryRun: true }));
    output.start();
    await expect.poll(() => records.stored.length).toBe(1);
    await output[Symbol.asyncDispose]();
    expect(device.connections).toBe(0);
    expect(commands(records).map(({ outcome }) => outcome)).toEqual(['dry-run', 'dry-run']);
    expect(health()).toBeUndefined();
  });

  test('is held while its file may be changed by others', async () => {
    await using device = await WritableDevice.listen();
    const { output, health } = outputOn({ ...configOf(device), heldBecause: 'other users may change it' });
    output.start();
    await expect.poll(health).toMatchObject({
      status: 'degraded',
      reason: expect.stringMatching(/^coil 17 .* is not written: other users may change it$/),
    });
    await output[Symbol.asyncDispose]();
    expect(device.connections).toBe(0);
  });

  test('is written again and again after a failure, with the reason in health and one record of the failure', async () => {
    await using device = await WritableDevice.listen();
    device.faults.exception = 2;
    const { output, records, health, deps } = outputOn(configOf(device));
    output.start();
    await expect.poll(() => health()?.reason).toMatch(/coil 17 .* could not be written: .*exception 2/);
    const failures = 'andon_output_write_failures_total{output="lamp",code="output-refused"}';
    await expect.poll(() => metricValue(deps, failures)).toBeGreaterThan(2);
    device.faults.exception = 0;
    await device.until(() => device.writes.length > 0);
    await expect.poll(() => health()?.status).toBe('ok');
    expect(device.connections).toBe(1);
    await output[Symbol.asyncDispose]();
    expect(commands(records).map(({ outcome }) => outcome)).toEqual(['failed', 'written', 'written']);
  });

  test.each([
    ['an answer for another address', 'wrongEcho', 'output-answer-invalid'],
    ['silence', 'silent', 'output-timeout'],
    ['another value when it is read back', 'ignoresWrites', 'output-mismatch'],
  ] as const)('takes %s as a failure', async (_, fault, code) => {
    await using device = await WritableDevice.listen();
    device.faults[fault] = true;
    const { output, deps } = outputOn(configOf(device, { readBack: '0ms', timeout: '50ms' }));
    output.start();
    const failures = `andon_output_write_failures_total{output="lamp",code="${code}"}`;
    await expect.poll(() => metricValue(deps, failures)).toBeGreaterThan(1);
    await output[Symbol.asyncDispose]();
  });

  test('reaches a device that starts later, on a new connection', async () => {
    const port = await freePort();
    const { output, health } = outputOn(configOf({ url: `tcp://127.0.0.1:${port}` }));
    output.start();
    await expect.poll(() => health()?.reason).toMatch(/No connection to 127.0.0.1/);
    await using device = await WritableDevice.listen(port);
    await device.until(() => device.coils[17] === 1);
    await output[Symbol.asyncDispose]();
  });

  test('shares one connection with the others on its device, with one request in flight', async () => {
    await using device = await WritableDevice.listen();
    const factory = modbusOutputs();
    const outputs = [20, 21, 22, 23].map((coil) =>
      outputOn(configOf(device, { write: { coil }, refresh: '100ms' }), factory),
    );
    for (const { output } of outputs) output.start();
    await device.until(() => device.writes.length >= 12);
    expect({ connections: device.connections, inFlight: device.inFlightMax }).toEqual({ connections: 1, inFlight: 1 });
    await Promise.all(outputs.map(({ output }) => output[Symbol.asyncDispose]()));
    expect(device.coils.slice(20, 24)).toEqual(new Uint8Array(4));
    await expect.poll(() => device.openConnections).toBe(0);
  });

  test('closes its connection after each write if it is configured to', async () => {
    await using device = await WritableDevice.listen();
    const { output } = outputOn(configOf(device, { closeAfterWrite: true, refresh: '100ms' }));
    output.start();
    await device.until(() => device.writes.length >= 3);
    expect(device.connections).toBeGreaterThanOrEqual(3);
    await output[Symbol.asyncDispose]();
  });

  test('counts repetitions and blinking in the record of the next command', async () => {
    await using device = await WritableDevice.listen();
    const { output, inputs, records } = outputOn(configOf(device, { blink: '100ms' }));
    output.start();
    await device.until(() => device.writes.length >= 4);
    inputs.blind();
    await device.until(() => values(device).at(-1) === 0);
    await output[Symbol.asyncDispose]();
    const [first, second] = commands(records);
    expect([first?.['repeated'], Number(second?.['repeated'])]).toEqual([0, expect.any(Number)]);
    expect(Number(second?.['repeated'])).toBeGreaterThanOrEqual(3);
  });

  test('stops within its deadlines when the device is silent', async () => {
    await using device = await WritableDevice.listen();
    const { output, inputs, records } = outputOn(configOf(device, { timeout: '50ms' }));
    output.start();
    await device.until(() => device.writes.length === 1);
    device.faults.silent = true;
    inputs.blind();
    await output[Symbol.asyncDispose]();
    await output[Symbol.asyncDispose]();
    expect(commands(records).at(-1)).toMatchObject({ show: 'safe', outcome: 'failed' });
  });
});
