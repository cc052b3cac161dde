import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatJsonPath, parseJsonPath, valueAtPath } from '../../../src/sources/mqtt/json-path.ts';

const key = fc.oneof(fc.string(), fc.nat({ max: 999_999_999 }));

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

  test.each(['', 'rms', '$rms', '$.', '$..a', '$[*]', '$[-1]', '$[01]', '$.a[', '$[a]', "$['a]", '$.a b', '$[?(@.x)]'])(
    '%j is none',
    (text) => {
      expect(parseJsonPath(text)).toBeUndefined();
    },
  );

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
