import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { PositionedDocument, valueAt } from '../../src/platform/positioned-document.ts';

describe('a configuration file as data', () => {
  test('it is read as YAML 1.2', () => {
    const scalar = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
    const key = fc.string({ minLength: 1 }).filter((text) => text !== '<<');
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        scalar,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const text = stringify(value);
        const document = new PositionedDocument(text);
        expect(document.problems).toEqual([]);
        expect(document.value).toEqual(parse(text));
      }),
    );
  });

  const text = `agent:
  id: edge-01
list: [1, { a: 2 }]
one: &one { b: 3, c: 4 }
two:
  <<: *one
  c: 5
`;
  const document = new PositionedDocument(text);

  test.each([
    [['agent'], 'key', 1, 1],
    [['agent', 'id'], 'key', 2, 3],
    [['agent', 'id'], 'value', 2, 7],
    [['list', 1, 'a'], 'value', 3, 16],
    [['agent', 'location'], 'key', 1, 1],
    [['nothing', 'here'], 'key', 1, 1],
    [['two', 'b'], 'value', 4, 16],
    [['two', 'c'], 'value', 7, 6],
  ] as const)('%j (%s) is at line %i, column %i', (path, at, line, column) => {
    expect(document.position(path, at)).toEqual({ line, column });
  });

  test('own values of a map have priority over merged ones, and the first merged map over later ones', () => {
    expect(valueAt(document.value, ['two'])).toEqual({ b: 3, c: 5 });
    const several = new PositionedDocument('a: &a { x: 1 }\nb: &b { x: 2, y: 2 }\nc: { <<: [*a, *b] }\n');
    expect(valueAt(several.value, ['c'])).toEqual({ x: 1, y: 2 });
  });

  test('an alias refers to the last anchor of its name before it', () => {
    expect(new PositionedDocument('a: &x 1\nb: *x\nc: &x 2\nd: *x\n').value).toEqual({ a: 1, b: 1, c: 2, d: 2 });
  });
});
