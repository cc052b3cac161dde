import { expect, test } from 'vitest';
import type { SampleBatch } from '../../src/domain/sample-batch.ts';
import { qualityOf, reasonOf } from '../../src/domain/quality.ts';
import { modbusKind } from '../../src/sources/modbus/modbus-kind.ts';
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
    const name = (index: number) => `tag-${index}`;
    const config = modbusKind.schema.parse({
      type: 'modbus',
      url: `tcp://127.0.0.1:${server.port}`,
      scanInterval: '50ms',
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
    await using source = modbusKind.create({
      id: 'libmodbus',
      config,
      tagNumbers: new Map(server.tags.map((_, index) => [name(index), index])),
      sink: { accept },
      ...plainSource,
      deps: testDeps(),
    });
    source.start();
    await complete;

    expect(server.tags.length).toBeGreaterThan(150);
    const served = server.tags.map(({ type, value }) => (type === 'float32' ? Math.fround(value) : value));
    expect(server.tags.map((_, index) => got.get(index)?.value)).toEqual(served);
  });
});
