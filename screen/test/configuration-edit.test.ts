import { expect, test } from 'vitest';
import { entryOf, withEntry } from '../src/configuration/document-edit.ts';
import { lineDiff } from '../src/configuration/line-diff.ts';
import { proposals, type SchemaNode } from '../src/configuration/schema-completion.ts';
import { yamlPlace } from '../src/configuration/yaml-place.ts';

test.each<readonly [string, string, 'key' | 'value', string]>([
  ['wat', '', 'key', 'wat'],
  ['sources:\n  plc:\n    type: modbus\n    scanI', 'sources.plc', 'key', 'scanI'],
  ['sources:\n  plc:\n    type: mod', 'sources.plc.type', 'value', 'mod'],
  ['sources:\n  plc:\n    tags:\n      a: { register: hol', 'sources.plc.tags.a.register', 'value', 'hol'],
  ['sources:\n  plc:\n    tags:\n      a: { register: holding, ty', 'sources.plc.tags.a', 'key', 'ty'],
  ["sources:\n  # a comment: with a colon\n  'plc 1':\n    ty", 'sources.plc 1', 'key', 'ty'],
  ['http: { tls: { ce', 'http.tls', 'key', 'ce'],
  ['log: { level: info }\nre', '', 'key', 're'],
])('finds the place of the cursor after %j', (text, path, kind, word) => {
  const place = yamlPlace(text, text.length);
  expect([place.path.join('.'), place.kind, text.slice(place.from)]).toEqual([path, kind, word]);
});

const schema: SchemaNode = {
  properties: {
    sources: {
      additionalProperties: {
        oneOf: [
          { properties: { type: { const: 'modbus' }, unitId: {} }, required: ['type'] },
          { properties: { type: { const: 'mqtt' }, clientId: {} }, required: ['type'] },
        ],
      },
    },
  },
};

test.each<readonly [string | undefined, readonly string[]]>([
  ['modbus', ['type', 'unitId']],
  ['mqtt', ['type', 'clientId']],
  [undefined, ['type', 'unitId', 'clientId']],
])('proposes the keys of a source of the type %s', (type, keys) => {
  const place = { path: ['sources', 'a'], kind: 'key', from: 0 } as const;
  const found = proposals(schema, place, (path) => (path.length === 2 ? type : undefined));
  expect(found.map(({ label }) => label)).toEqual(keys);
});

test('proposes the constants of a value', () => {
  const place = { path: ['sources', 'a', 'type'], kind: 'value', from: 0 } as const;
  expect(proposals(schema, place, () => undefined).map(({ label }) => label)).toEqual(['modbus', 'mqtt']);
});

const file = `# the press
sources:
  plc: # in the cabinet
    tags:
      a: { register: holding, address: 0x10, type: int16 } # pressure
      # the last one

watches:
log:   { level: info }
`;

test.each<readonly [string, readonly string[], unknown, 'block' | 'line', string]>([
  [
    'in a map',
    ['sources', 'plc', 'tags', 'b'],
    { register: 'coil', address: 3 },
    'line',
    '      b: { register: coil, address: 3 }\n',
  ],
  [
    'in an empty map',
    ['watches', 'press'],
    { tags: ['a'], learn: { for: '8h' } },
    'block',
    '  press:\n    tags:\n      - a\n    learn:\n      for: 8h\n',
  ],
  ['with a new section', ['reload', 'revertAfter'], '5s', 'line', 'reload:\n  revertAfter: 5s\n'],
])('an entry %s is added as lines of its own, and no other line changes', (_, path, value, form, lines) => {
  const next = withEntry(file, path, value, form);
  const diff = lineDiff(file, next);
  expect(diff.filter(({ kind }) => kind === 'removed')).toEqual([]);
  expect(diff.flatMap(({ kind, text }) => (kind === 'added' ? [`${text}\n`] : [])).join('')).toBe(lines);
  expect(entryOf(next, path)).toEqual(value);
});

test('an entry is added to a map on one line', () => {
  expect(withEntry('watches: { a: { tags: [x] } }\n', ['watches', 'b'], { tags: ['y'] })).toBe(
    'watches: { a: { tags: [x] }, b: { tags: [ y ] } }\n',
  );
  expect(withEntry('watches: {}\n', ['watches', 'b'], 1)).toBe('watches: { b: 1 }\n');
});

test('an entry that exists is not replaced', () => {
  expect(() => withEntry(file, ['log', 'level'], 'debug')).toThrow('log.level exists already');
});

test('a difference has the numbers of the lines in both texts', () => {
  expect(lineDiff('a\nb\nc\n', 'a\nx\nc\n')).toEqual([
    { kind: 'same', old: 1, next: 1, text: 'a' },
    { kind: 'removed', old: 2, next: undefined, text: 'b' },
    { kind: 'added', old: undefined, next: 2, text: 'x' },
    { kind: 'same', old: 3, next: 3, text: 'c' },
  ]);
});
