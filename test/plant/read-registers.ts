import ModbusRTU from 'modbus-serial';

/** A Modbus TCP client of another project; closed by `await using`. */
export async function modbusClient(port: number): Promise<ModbusRTU.default & AsyncDisposable> {
  const client = new ModbusRTU.default();
  await client.connectTCP('127.0.0.1', { port });
  client.setTimeout(5000);
  return Object.assign(client, {
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => client.close(() => resolve())),
  });
}

/** Holding registers from 0 as float32 ABCD. */
export async function readFloats(client: ModbusRTU.default, count: number): Promise<readonly number[]> {
  const { buffer } = await client.readHoldingRegisters(0, count * 2);
  return Array.from({ length: count }, (_, index) => buffer.readFloatBE(index * 4));
}
