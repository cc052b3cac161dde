import type { TagImport } from '../../src/tag-import/imported-tags.ts';
import { ModbusRawServer } from './modbus-raw-server.ts';
import { type ModbusConfigInput, ModbusSourceFixture } from './modbus-source-fixture.ts';

/**
 * Reads the imported tags of all sources from a Modbus server.
 *
 * @param registers Bytes from holding and input register 0, as on the wire.
 * @param bits Numbers of the coils and discrete inputs that are on, from 0.
 * @returns Values by tag name; texts as texts; `quality reason` if a value is not good.
 */
export async function readImported(
  imported: TagImport,
  registers: Buffer,
  bits: readonly number[] = [],
): Promise<Readonly<Record<string, number | string>>> {
  await using device = await ModbusRawServer.listen();
  for (let index = 0; index * 2 + 1 < registers.length; index += 1)
    device.registers[index] = registers.readUInt16BE(index * 2);
  for (const bit of bits) device.bits[bit] = 1;
  const values: Record<string, number | string> = {};
  for (const { keys, tags } of imported.sources) {
    const plain = [...tags].map(([name, tag]) => [name, { ...tag, scanInterval: undefined }] as const);
    const input = { ...keys, url: device.url, scanInterval: '50ms', invalid: 'none', tags: Object.fromEntries(plain) };
    await using source = ModbusSourceFixture.start(input as ModbusConfigInput);
    const shown = source.show(await source.sink.next());
    for (const [name, value] of Object.entries(shown))
      values[name] = source.sink.texts.get(source.number(name)) ?? value;
  }
  return values;
}

/** Returns the imported tags of the only source. */
export function tagsOf({ sources }: TagImport): Readonly<Record<string, unknown>> {
  return Object.fromEntries(sources[0]?.tags ?? []);
}

/** Returns `line name: found (reason)` of each finding. */
export function findingsOf({ findings }: TagImport): readonly string[] {
  return findings.map(({ line, name = '', found, reason, imported }) => {
    return `${line} ${name}: ${found} (${reason})${imported ? ' imported' : ''}`;
  });
}
