import { connectAsync, type IPublishPacket } from 'mqtt';
import ModbusRTU from 'modbus-serial';
import { expect, test } from 'vitest';
import { LibmodbusOutputs } from '../support/libmodbus-outputs.ts';
import { libmodbusHeader } from '../support/libmodbus-server.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { meanModel } from '../support/onnx-models.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { Recorder } from '../support/broker-recorder.ts';
import { andon } from '../cli/run-andon.ts';

const HEARTBEAT = 100;
const LEVEL = 10;
/** The device may also trip on a busy machine; each count of the heartbeat ends that. */
const WATCHDOG_MS = 1500;

const mean = {
  name: 'level',
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  manifest: { threshold: 50 },
};

function sections(url: string, brokerUrl: string, models: string) {
  const device = { type: 'modbus', source: 'plc', dryRun: false };
  return {
    sources: {
      plc: {
        type: 'modbus',
        url,
        scanInterval: '100ms',
        tags: { level: { register: 'holding', address: LEVEL, type: 'uint16' } },
      },
    },
    models: { directory: models },
    watches: {
      tank: {
        model: 'level',
        tags: ['level'],
        window: { step: '100ms', maxAge: '30s' },
        alarm: { priority: 'high' },
      },
    },
    outputs: {
      monitoring: { ...device, write: { coil: 16 }, on: { monitoring: ['tank'] }, safe: 'off' },
      red: {
        ...device,
        write: { coil: 17 },
        on: { watches: ['tank'], priority: 'high' },
        safe: 'on',
        readBack: '10ms',
      },
      alive: { ...device, write: { register: HEARTBEAT }, on: { heartbeat: '200ms' }, safe: 0 },
      horn: {
        type: 'mqtt',
        url: brokerUrl,
        topic: 'line/horn',
        on: { watches: ['tank'] },
        safe: 'unknown',
        dryRun: false,
      },
    },
  };
}

async function setLevel(url: string, value: number): Promise<void> {
  const client = new ModbusRTU.default();
  const { hostname, port } = new URL(url);
  await client.connectTCP(hostname, { port: Number(port) });
  client.setID(1);
  await client.writeRegister(LEVEL, value);
  await new Promise<void>((resolve) => client.close(() => resolve()));
}

describeWith(['gcc', 'pkg-config', libmodbusHeader, 'mosquitto'], 'outputs of the daemon', () => {
  test('follow an alarm; the device is safe after a kill, and andon leaves it safe at a stop', async () => {
    await using device = await LibmodbusOutputs.start(HEARTBEAT, WATCHDOG_MS, { 16: 0, 17: 1 });
    await using broker = await Mosquitto.start();
    using models = new TestModelDirectory([mean]);
    using folder = new AgentFolder();
    folder.configure(sections(device.url, broker.url, models.path));
    const subscriber = await connectAsync(broker.url, { protocolVersion: 5 });
    const horn = new Recorder<{ readonly payload: string; readonly packet: IPublishPacket }>();
    subscriber.on('message', (_, payload, packet) => horn.push({ payload: payload.toString(), packet }));
    await subscriber.subscribeAsync('line/horn');
    const written = (coil: number) => device.written('coil', coil);
    const lastWritten = (coil: number, value: number) => device.until(() => written(coil).at(-1) === value);

    {
      await using agent = await AgentProcess.start(folder.configFile);
      // Safe until the watch has judged.
      await device.until(() => written(17).length > 0);
      expect(written(17)[0]).toBe(1);
      await lastWritten(16, 1);
      await lastWritten(17, 0);
      await horn.when(({ payload }) => payload === 'off');
      await setLevel(device.url, 100);
      await lastWritten(17, 1);
      const { packet } = await horn.when(({ payload }) => payload === 'on');
      expect({ retain: packet.retain, expiry: packet.properties?.messageExpiryInterval }).toEqual({
        retain: false,
        expiry: expect.any(Number),
      });
      const before = device.events.length;
      const messages = horn.items.length;
      await agent.end('SIGKILL');
      await device.until((events) => events.slice(before).some((event) => 'tripped' in event));
      // The last will of the connection.
      await horn.when(({ payload }) => payload === 'unknown', messages);
      expect(agent.stderr).toBe('');
    }

    await setLevel(device.url, 0);
    await using agent = await AgentProcess.start(folder.configFile);
    await device.until(() => written(17).at(-1) === 0 && written(16).at(-1) === 1);
    await setLevel(device.url, 100);
    await lastWritten(17, 1);
    expect(await agent.end('SIGTERM')).toBe(0);
    expect([written(16).at(-1), written(17).at(-1), device.written('register', HEARTBEAT).at(-1)]).toEqual([0, 1, 0]);
    expect(agent.stderr).toBe('');

    // A kill may come between a write and its record, so only the second run is compared.
    const lastOfRed = (lines: string, commandOf: (line: object) => object) =>
      lines
        .trim()
        .split('\n')
        .map((line) => commandOf(JSON.parse(line) as object))
        .filter((command) => 'output' in command && command.output === 'red')
        .slice(-3);
    const expected = [
      { show: 'off', value: 0, outcome: 'written' },
      { show: 'on', value: 1, outcome: 'written' },
      { show: 'safe', value: 1, outcome: 'written', reason: 'andon stops' },
    ];
    const exported = await andon('outbox', 'export', '-c', folder.configFile, '--kind', 'output');
    expect(lastOfRed(exported.stdout, (record) => record)).toMatchObject(expected);
    const audited = await andon('audit', 'export', '-c', folder.configFile);
    expect(lastOfRed(audited.stdout, (entry) => Object(Reflect.get(entry, 'detail')))).toMatchObject(expected);
    expect((await andon('audit', 'verify', '-c', folder.configFile)).code).toBe(0);
    subscriber.end(true);
  });
});
