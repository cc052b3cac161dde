import { describe, expect, onTestFinished, test } from 'vitest';
import { ModbusDevice } from '../../src/plant/modbus-device.ts';
import { emptyImage, putFloat32, putScaled16, putUint32 } from '../../src/plant/register-image.ts';
import { modbusClient, readFloats } from './read-registers.ts';

describe('the simulated Modbus device', () => {
  test('shows floats, scaled integers, coils and discrete inputs as written', async () => {
    const holding = new Uint16Array(4);
    putFloat32(holding, 0, 3.5);
    putUint32(holding, 2, 70_000);
    const input = new Uint16Array(2);
    putScaled16(input, 0, -1.23, { type: 'int16', scale: 0.01 });
    putScaled16(input, 1, 999, { type: 'uint16', scale: 0.01 });
    const { device, client } = await connected();
    device.show({ holding, input, coils: Uint8Array.of(1, 0), discretes: Uint8Array.of(0, 1) });

    expect(await readFloats(client, 1)).toEqual([3.5]);
    expect((await client.readHoldingRegisters(2, 2)).buffer.readUInt32BE()).toBe(70_000);
    const { buffer } = await client.readInputRegisters(0, 2);
    expect(buffer.readInt16BE(0)).toBe(-123);
    expect(buffer.readUInt16BE(2), 'a value beyond the register is held at its end').toBe(65_535);
    expect((await client.readCoils(0, 2)).data.slice(0, 2)).toEqual([true, false]);
    expect((await client.readDiscreteInputs(1, 1)).data[0]).toBe(true);
  });

  test('refuses an address it does not have, and every write', async () => {
    const { device, client } = await connected();
    device.show({ ...emptyImage, holding: new Uint16Array(4), coils: new Uint8Array(1) });

    await expect(client.readHoldingRegisters(3, 2)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(client.readHoldingRegisters(4, 1)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(client.readDiscreteInputs(0, 1)).rejects.toMatchObject({ modbusCode: 2 });
    await expect(client.writeRegister(0, 1)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.writeRegisters(0, [1, 2])).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.writeCoil(0, true)).rejects.toMatchObject({ modbusCode: 1 });
    expect((await client.readHoldingRegisters(0, 4)).data, 'and continues to answer').toEqual([0, 0, 0, 0]);
  });

  test('answers a request from one image while images change', async () => {
    const { device, client } = await connected();
    let value = 0;
    const showNext = () => {
      value += 1;
      device.show({ ...emptyImage, holding: new Uint16Array(100).fill(value) });
    };
    showNext();
    const changing = setInterval(showNext, 0);
    onTestFinished(() => clearInterval(changing));
    const answers = new Set<number>();
    for (let request = 0; request < 200; request += 1) {
      const { data } = await client.readHoldingRegisters(0, 100);
      expect(new Set(data).size).toBe(1);
      answers.add(data[0] ?? 0);
    }
    expect(answers.size).toBeGreaterThan(20);
  });

  test('reports that its port is taken', async () => {
    const { port } = await connected();
    await using second = new ModbusDevice();
    await expect(second.listen('127.0.0.1', port)).rejects.toMatchObject({ code: 'modbus-listen-failed' });
  });

  test('listens no more once disposed of, however often', async () => {
    const device = new ModbusDevice();
    const port = await device.listen('127.0.0.1', 0);
    await device[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
    await expect(modbusClient(port)).rejects.toThrow('ECONNREFUSED');
  });
});

async function connected() {
  const device = new ModbusDevice();
  const port = await device.listen('127.0.0.1', 0);
  const client = await modbusClient(port);
  onTestFinished(async () => {
    await client[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
  });
  return { device, client, port };
}
