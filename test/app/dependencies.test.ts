import { expect, test } from 'vitest';
import { dependencies } from '../../src/app/dependencies.ts';
import { configSchema } from '../../src/config/config-schema.ts';

const modbus = (url: string, name: string) => ({
  type: 'modbus',
  url,
  tags: { [name]: { register: 'holding', address: 0, type: 'uint16' } },
});
const config = configSchema.parse({
  agent: { id: 'edge' },
  sources: {
    plc: modbus('tcp://10.0.0.1:502', 'a'),
    drive: modbus('tcp://10.0.0.1', 'c'),
    line: modbus('serial:///dev/ttyUSB0', 'd'),
    cell: { type: 'mqtt', url: 'mqtt://Broker', tags: { b: { topic: 'b' } } },
  },
  derived: { sum: { expr: "tag('a') + tag('b')" }, twice: { expr: "2 * tag('sum')" } },
  watches: { pump: { tags: ['twice', 'a'] } },
  uplinks: { cloud: { type: 'mqtt', url: 'mqtt://broker:1883' }, lake: { type: 'http', url: 'https://lake/in' } },
  publish: { type: 'mqtt', url: 'mqtt://other' },
});

test('a watch and a derived tag need all inputs and their sources, also through other derived tags', () => {
  const { neededBy } = dependencies(config);
  expect(neededBy.get('tag/a')).toEqual(['source/plc']);
  expect(neededBy.get('tag/twice')).toEqual(['source/plc', 'source/cell', 'tag/sum', 'tag/a', 'tag/b']);
  expect(new Set(neededBy.get('watch/pump'))).toEqual(
    new Set('inference model/pump source/plc source/cell tag/twice tag/sum tag/a tag/b'.split(' ')),
  );
});

test('components with one address share it, and derived tags share their inputs', () => {
  const { sharedBy } = dependencies(config);
  const of = (...names: readonly string[]) => names.map((name) => sharedBy.get(name));
  expect(of('source/plc', 'source/drive')).toEqual([['10.0.0.1:502'], ['10.0.0.1:502']]);
  expect(of('source/cell', 'uplink/cloud')).toEqual([['broker:1883'], ['broker:1883']]);
  expect(of('source/line', 'uplink/lake', 'publish')).toEqual([['/dev/ttyUSB0'], ['lake:443'], ['other:1883']]);
  expect(of('tag/sum', 'tag/twice')).toEqual([
    ['a', 'b'],
    ['sum', 'a', 'b'],
  ]);
});
