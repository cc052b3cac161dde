import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { entryOf } from '../src/configuration/document-edit.ts';
import { lineDiff } from '../src/configuration/line-diff.ts';
import type { SchemaNode } from '../src/configuration/schema-completion.ts';
import { cellText, cellValue, choicesOf, shownColumns, tagColumns } from '../src/configuration/tag-cells.ts';
import { type TagChange, withTags } from '../src/configuration/tag-edit.ts';

const file = `# the press
sources:
  plc: # in the cabinet
    type: modbus
    tags:
      # oil
      pressure: { register: holding, address: 0x10, type: int16 } # behind the pump
      heat: # of the oil
        register: input # not holding
        address: 7
        type: float32
        range: # plausible
          - 0
          - 90
      # the last one
watches: {}
`;

const set = (name: string, fields: Readonly<Record<string, unknown>>): TagChange => ({ kind: 'set', name, fields });

/** Lines that a change removes and adds. */
function changed(changes: readonly TagChange[], text = file): readonly string[] {
  return lineDiff(text, withTags(text, 'plc', changes)).flatMap(({ kind, text: line }) =>
    kind === 'removed' ? [`-${line}`] : kind === 'added' ? [`+${line}`] : [],
  );
}

test.each<readonly [string, readonly TagChange[], readonly string[]]>([
  [
    'a value on one line is replaced',
    [set('pressure', { address: 17 })],
    [
      '-      pressure: { register: holding, address: 0x10, type: int16 } # behind the pump',
      '+      pressure: { register: holding, address: 17, type: int16 } # behind the pump',
    ],
  ],
  [
    'a key is added and another one removed on one line',
    [set('pressure', { unit: 'a, b', address: undefined })],
    [
      '-      pressure: { register: holding, address: 0x10, type: int16 } # behind the pump',
      '+      pressure: { register: holding, type: int16, unit: "a, b" } # behind the pump',
    ],
  ],
  [
    'a line of a block is replaced, and its comment stays',
    [set('heat', { register: 'holding' })],
    ['-        register: input # not holding', '+        register: holding # not holding'],
  ],
  [
    'a line of a block is added, another one removed',
    [set('heat', { unit: '°C', address: undefined })],
    ['-        address: 7', '+        unit: °C'],
  ],
  [
    'a tag is added after the last one',
    [set('flow', { register: 'input', address: 3, range: [0, 5], unit: undefined })],
    ['+      flow: { register: input, address: 3, range: [ 0, 5 ] }'],
  ],
  [
    'a tag is renamed',
    [{ kind: 'rename', name: 'heat', to: 'oil.heat' }],
    ['-      heat: # of the oil', '+      oil.heat: # of the oil'],
  ],
  [
    'a tag is removed',
    [{ kind: 'remove', name: 'pressure' }],
    ['-      pressure: { register: holding, address: 0x10, type: int16 } # behind the pump'],
  ],
])('%s, and no other line changes', (_, changes, lines) => {
  expect(changed(changes)).toEqual(lines);
});

test('many changes at the same time have the values of each', () => {
  const changes = [
    set('pressure', { address: 1, unit: 'bar' }),
    set('heat', { unit: 'K', range: undefined, scale: 2 }),
    set('a', { register: 'coil', address: 1, type: 'bool' }),
    set('b', {}),
  ];
  // A comment in a removed value goes with it: `range` has one before its list.
  expect(entryOf(withTags(file, 'plc', changes), ['sources', 'plc', 'tags'])).toEqual({
    pressure: { register: 'holding', address: 1, type: 'int16', unit: 'bar' },
    heat: { register: 'input', address: 7, type: 'float32', unit: 'K', scale: 2 },
    a: { register: 'coil', address: 1, type: 'bool' },
    b: {},
  });
});

test.each([
  'sources: { plc: { type: modbus } }\n',
  'sources: { plc: { type: modbus, tags: {} } }\n',
  'sources:\n  plc:\n    type: modbus\n    tags:\n',
  'sources:\n  plc:\n    type: modbus\n    tags: { c: { address: 3 } }',
  'sources:\n  plc:\n    type: modbus\n    tags:\n      c: { address: 3 }',
])('tags are added to %j, and then filled', (text) => {
  const added = withTags(text, 'plc', [set('a', {}), set('b', { address: 2 })]);
  const filled = withTags(added, 'plc', [set('a', { address: 1 }), { kind: 'remove', name: 'c' }]);
  expect(parse(filled)).toEqual({
    sources: { plc: { type: 'modbus', tags: { a: { address: 1 }, b: { address: 2 } } } },
  });
});

test('a change that would lose a comment, and a name that exists, are refused', () => {
  expect(() => withTags(file, 'plc', [set('heat', { range: [0, 1] })])).toThrow('has a comment in it');
  expect(() => withTags(file, 'plc', [{ kind: 'rename', name: 'heat', to: 'pressure' }])).toThrow('exists already');
  expect(() => withTags('sources: [', 'plc', [])).toThrow('Flow sequence');
});

const schema: SchemaNode = {
  properties: {
    sources: {
      additionalProperties: {
        oneOf: [
          {
            properties: {
              type: { const: 'modbus' },
              tags: {
                additionalProperties: {
                  properties: {
                    unit: { type: 'string' },
                    address: { type: 'integer' },
                    trim: { type: 'boolean' },
                    names: { type: 'object' },
                  },
                  required: ['address'],
                },
              },
            },
          },
        ],
      },
    },
  },
};

test('the columns are the keys of the kind: required, usual and used ones', () => {
  const columns = tagColumns(schema, 'modbus');
  expect(columns.map(({ key }) => key)).toEqual(['address', 'unit', 'trim', 'names']);
  expect(shownColumns(columns, [{ address: 1 }]).map(({ key }) => key)).toEqual(['address', 'unit']);
  expect(shownColumns(columns, [{ trim: true }]).map(({ key }) => key)).toEqual(['address', 'unit', 'trim']);
  expect(tagColumns(schema, 'mqtt')).toEqual([]);
});

test.each<readonly [string, SchemaNode, unknown]>([
  ['0..16', { type: 'array' }, [0, 16]],
  ['{RUN: 1}', { type: 'object' }, { RUN: 1 }],
  ['0,5', { type: 'number' }, 0.5],
  ['seven', { type: 'integer' }, 'seven'],
  ['true', { type: 'boolean' }, true],
  ['$.rms', { type: 'string' }, '$.rms'],
  [' ', { type: 'string' }, undefined],
])('the cell %j has the value that the key takes', (text, node, value) => {
  expect(cellValue(text, node)).toEqual(value);
  expect(cellValue(cellText(value), node)).toEqual(value);
});

test('a key with few values has a list to choose from', () => {
  expect(choicesOf({ enum: ['a', 'b'] })).toEqual(['a', 'b']);
  expect(choicesOf({ anyOf: [{ const: 16 }, { const: 32 }] })).toEqual(['16', '32']);
  expect(choicesOf({ type: 'boolean' })).toEqual(['true', 'false']);
  expect(choicesOf({ anyOf: [{ enum: ['none'] }, { type: 'number' }] })).toBeUndefined();
});
