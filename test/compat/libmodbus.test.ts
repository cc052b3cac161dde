import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SampleBatch } from '../../src/domain/sample/sample-batch.ts';
import { qualityOf, reasonOf } from '../../src/domain/sample/quality.ts';
import { modbusKind } from '../../src/sources/modbus/modbus-kind.ts';
import { ModbusSource } from '../../src/sources/modbus/modbus-source.ts';
import { libmodbusHeader, LibmodbusServer } from '../support/libmodbus-server.ts';
import { describeWith } from '../support/programs.ts';
import { plainSource } from '../support/source-context.ts';
import { testDeps } from '../support/test-deps.ts';

/*
 * libmodbus encodes, andon decodes: two implementations that share no line. Every value of every type must come out
 * as the one that libmodbus says it serves.
 */
describeWith(['gcc', 'pkg-config', libmodbusHeader], 'a device made with libmodbus', () => {
  test('is read value for value, in every type and byte order', async () => {
    await using server = await LibmodbusServer.start();
    expect(await valuesRead(server, `tcp://127.0.0.1:${server.port}`)).toEqual(valuesServed(server));
  });
});

describeWith(['gcc', 'pkg-config', libmodbusHeader, 'socat'], 'a device made with libmodbus on a serial line', () => {
  test('is read value for value, in every type and byte order', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'libmodbus-line-'));
    const [here, there] = [join(folder, 'here'), join(folder, 'there')];
    const socat = spawn('socat', [`pty,raw,echo=0,link=${here}`, `pty,raw,echo=0,link=${there}`], { stdio: 'ignore' });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => {
      socat.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    await expect.poll(() => existsSync(here) && existsSync(there)).toBe(true);
    await using server = await LibmodbusServer.start(there);
    const url = `serial://${here}?baudRate=115200&parity=none`;
    expect(await valuesRead(server, url)).toEqual(valuesServed(server));
  });
});

function valuesServed({ tags }: LibmodbusServer): readonly number[] {
  return tags.map(({ type, value }) => (type === 'float32' ? Math.fround(value) : value));
}

/** Reads everything that the server says it serves, until all is good. */
async function valuesRead(server: LibmodbusServer, url: string): Promise<readonly (number | undefined)[]> {
  if (server.tags.length < 150) throw new Error('The server serves less than it should');
  const name = (index: number) => `tag-${index}`;
  const config = modbusKind.schema.parse({
    type: 'modbus',
    url,
    scanInterval: '50ms',
    // Every value is valid, also the values that devices use for "not available".
    invalid: 'none',
    tags: Object.fromEntries(
      server.tags.map(({ register, address, type, byteOrder }, index) => [
        name(index),
        { register, address, type, byteOrder },
      ]),
    ),
  });
  const got = new Map<number, { readonly value: number; readonly quality: string; readonly reason: string }>();
  const { promise: complete, resolve } = Promise.withResolvers<void>();
  const accept = (batch: SampleBatch): void => {
    for (let index = 0; index < batch.length; index += 1)
      got.set(batch.tags[index] ?? -1, {
        value: batch.values[index] ?? Number.NaN,
        quality: qualityOf(batch.qualities[index] ?? -1),
        reason: reasonOf(batch.reasons[index] ?? -1),
      });
    if (got.size === server.tags.length && [...got.values()].every(({ quality }) => quality === 'good')) resolve();
  };
  await using source = new ModbusSource({
    id: 'libmodbus',
    config,
    tagNumbers: new Map(server.tags.map((_, index) => [name(index), index])),
    sink: { accept },
    ...plainSource,
    deps: testDeps(),
  });
  source.start();
  await complete;
  return server.tags.map((_, index) => got.get(index)?.value);
}
