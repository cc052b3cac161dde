import { expect, test } from 'vitest';
import { neededComponents } from '../../src/app/needed-components.ts';
import { watchSchema, withModel } from '../../src/pipeline/watch-config.ts';

test('a watch and a derived tag need the sources of all inputs, also through other derived tags', () => {
  const tag = (name: string, source: string, number: number) => ({
    name,
    source,
    number,
    unit: '',
    range: undefined,
    deadband: 0,
  });
  const tags = [tag('a', 'plc', 0), tag('b', 'cell', 1), tag('sum', '', 2), tag('twice', '', 3)];
  const watch = withModel('pump', watchSchema.parse({ tags: ['twice', 'a'] }));
  const derived = { sum: { expr: "tag('a') + tag('b')" }, twice: { expr: "2 * tag('sum')" } };
  const needed = neededComponents({ watches: new Map([['pump', watch]]), tags, derived });
  expect(needed.get('tag/a')).toEqual(['source/plc']);
  expect(needed.get('tag/twice')).toEqual(['source/plc', 'source/cell']);
  expect(needed.get('watch/pump')).toEqual(['inference', 'model/pump', 'source/plc', 'source/cell']);
});
