import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileValuePath,
  type JsonPath,
  listAt,
  parseJsonPath,
  singleValue,
  valueAtPath,
  type ValuePath,
} from '../../../src/sources/mqtt/json-path.ts';

const key = fc.oneof(fc.string(), fc.nat({ max: 999_999_999 }));

/** Text of a path, with every name in quotes. */
function formatJsonPath(path: JsonPath): string {
  const step = (name: string | number) =>
    typeof name === 'number' ? `[${name}]` : `['${name.replaceAll(/['\\]/g, String.raw`\$&`)}']`;
  return `$${path.map(step).join('')}`;
}

test('every path parses to itself from its text', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 6 }), (path) => {
      expect(parseJsonPath(formatJsonPath(path))).toEqual(path);
    }),
  );
});

test('any text is either a path or refused', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('$', '.', '[', ']', "'", '"', '\\', '0', '1', 'a', ' ') }),
      (text) => {
        const path = parseJsonPath(text);
        expect(path && parseJsonPath(formatJsonPath(path))).toEqual(path);
      },
    ),
  );
});

test('a value stored at a path is found there', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), fc.integer(), (path, value) => {
      const document = path.reduceRight<unknown>(
        (inner, step) => (typeof step === 'number' ? Object.assign([], { [step]: inner }) : ownEntry(step, inner)),
        value,
      );
      expect(valueAtPath(document, path)).toBe(value);
    }),
  );
});

/** `{ [key]: value }`, also for the key `__proto__`. */
function ownEntry(name: string, value: unknown): object {
  return JSON.parse(`{${JSON.stringify(name)}:null}`, (entry: string, old: unknown) =>
    entry === name && old === null ? value : old,
  ) as object;
}

describe('a path', () => {
  test.each([
    ['$', []],
    ['$.rms', ['rms']],
    ['$.a.b[0]', ['a', 'b', 0]],
    [`$['a key']["x'y"].z`, ['a key', "x'y", 'z']],
    ['$.ns:temperature-1', ['ns:temperature-1']],
  ])('%s is read', (text, path) => {
    expect(parseJsonPath(text)).toEqual(path);
  });

  test.each([
    '',
    'rms',
    '$rms',
    '$.',
    '$..a',
    '$[*]',
    '$[-1]',
    '$[01]',
    '$.a[',
    '$[a]',
    "$['a]",
    '$.a b',
    '$.*',
    '$[?(@.x)]',
  ])('%j is not a path of names and positions', (text) => {
    expect(parseJsonPath(text)).toBeUndefined();
  });

  test.each([
    ['an inherited member of an object', {}, ['constructor', 'name']],
    ['the length of an array', [1, 2], ['length']],
    ['a character of a text', 'text', [0]],
    ['a position in an object', { 0: 1 }, [0]],
    ['a key of null', null, ['a']],
  ])('does not lead to %s', (_what, document, path) => {
    expect(valueAtPath(document, path)).toBeUndefined();
  });
});

describe('a path of RFC 9535', () => {
  const document = {
    s: [
      { id: 't', v: 21.5 },
      { id: 'p', v: 1.2 },
    ],
    text: '{"list":[{"id":"t","v":7}],"deep":"{\\"x\\":8}"}',
  };
  const path = (text: string): ValuePath => {
    const compiled = compileValuePath(text);
    if (typeof compiled === 'string') throw new Error(compiled);
    return compiled;
  };

  test.each<[string, unknown]>([
    ["$.s[?@.id=='t'].v", 21.5],
    ["$.s[?@.id=='t' && @.v>20].v", 21.5],
    ["$.s[?match(@.id, '[a-t]')].v", { count: 2 }],
    ['$.s[-1].v', 1.2],
    ['$.s[*].v', { count: 2 }],
    ['$.s[?@.id=="none"].v', undefined],
    ['$.text.list[0].v', 7],
    ['$.text.deep.x', 8],
    ["$.text.list[?@.id=='t'].v", 7],
  ])('%s leads to %j, also in JSON text inside JSON', (text, expected) => {
    expect(singleValue(path(text), document)).toEqual(expected);
  });

  test('with several values is a list', () => {
    expect(listAt(path('$.s[?@.v>0]'), document)).toEqual(document.s);
    expect(listAt(path('$.s'), document)).toEqual(document.s);
    expect(listAt(path('$.none[*]'), document)).toBeUndefined();
  });

  test.each(['', 'rms', '$rms', '$.', '$.a[', '$[?', '$.s[?@.id==].v', '$.a b'])(
    '%j is refused with the reason',
    (text) => {
      expect(compileValuePath(text)).toMatch(/\w+/);
    },
  );
});
