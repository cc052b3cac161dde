import ModbusRTU from 'modbus-serial';
import { connectAsync } from 'mqtt';
import * as ort from 'onnxruntime-node';
import {
  FLOATS_PER_READ,
  machineMs,
  READS,
  REGISTERS_PER_READ,
  TAGS,
  verdictTopic,
  WATCHED_TAGS,
  watchOf,
} from './workload.ts';

/*
 * The limit for the agent, a script that takes a day to write with the same libraries: read, run, publish, in a
 * loop. No quality, no windows, no record on disk, no alarm, and the first error ends it. It has the session
 * options that suit a small model. All devices share one MQTT client and one session.
 */

export type MinimalScriptOptions = {
  readonly devicePorts: readonly number[];
  readonly brokerUrl: string;
  readonly modelFile: string;
  /** Unit id of its first device; the others count up from it. */
  readonly firstUnitId: number;
  readonly devices: number;
  readonly scanIntervalMs: number;
};

const { devicePorts, brokerUrl, modelFile, firstUnitId, devices, scanIntervalMs } = JSON.parse(
  process.argv[2] ?? '{}',
) as MinimalScriptOptions;

const session = await ort.InferenceSession.create(modelFile, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
});
const mqtt = await connectAsync(brokerUrl);

await Promise.all(Array.from({ length: devices }, (_, index) => scan(firstUnitId + index, devicePorts[index] ?? 0)));

async function scan(unitId: number, port: number): Promise<void> {
  const modbus = new ModbusRTU.default();
  await modbus.connectTCP('127.0.0.1', { port });
  modbus.setID(unitId);
  modbus.setTimeout(1000);
  const watch = watchOf(unitId);
  const topic = verdictTopic(watch);
  for (let dueMs = machineMs(); ; dueMs += scanIntervalMs) {
    const values = new Float32Array(TAGS);
    let tag = 0;
    for (let read = 0; read < READS; read += 1) {
      const { buffer } = await modbus.readHoldingRegisters(read * REGISTERS_PER_READ, REGISTERS_PER_READ);
      for (let index = 0; index < FLOATS_PER_READ; index += 1) values[tag++] = buffer.readFloatBE(index * 4);
      values[tag++] = buffer.readUInt16BE(FLOATS_PER_READ * 4);
    }
    const window = new ort.Tensor('float32', values.slice(0, WATCHED_TAGS), [1, 1, WATCHED_TAGS]);
    const { score } = await session.run({ window });
    const payload = { watch, timestamp_ms: Date.now(), score: Number(score?.data[0]) };
    await mqtt.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
    if (scanIntervalMs > 0) await sleepUntil(dueMs + scanIntervalMs);
  }
}

function sleepUntil(dueMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - machineMs())));
}
