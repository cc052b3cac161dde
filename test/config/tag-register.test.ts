import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/config-schema.ts';
import { TagRegister } from '../../src/config/tag-register.ts';

function registerOf(patterns: Record<string, unknown>, watched: readonly string[] = []): TagRegister {
  const config = configSchema.parse({
    agent: { id: 'edge' },
    sources: {
      cell: { type: 'mqtt', url: 'mqtt://b', tags: { speed: { topic: 'a/speed' } }, patterns },
      other: { type: 'mqtt', url: 'mqtt://b', patterns },
    },
    ...(watched.length === 0 ? {} : { watches: { pump: { model: 'pump-anomaly', tags: watched } } }),
  });
  return new TagRegister(config);
}

const any = { topic: 'a/{asset}/{name}', tag: '{asset}.{name}', unit: 'g', maxTags: 3 };

test('all slots of a pattern exist from the start, and each gets its name with the first sample', () => {
  const register = registerOf({ any });
  const { tags } = register;
  expect(tags.map(({ name }) => name)).toEqual(['speed', '', '', '', '', '', '']);
  const number = register.bind('cell', 'any', 'pump-1.rms');
  expect(tags[Number(number)]).toMatchObject({ name: 'pump-1.rms', unit: 'g', source: 'cell', number });
  expect(register.bind('cell', 'any', 'pump-1.rms')).toBe(number);
  expect(tags).toHaveLength(7);
  expect(tags.map((tag) => tag.number)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test('a pattern creates at most maxTags tags, and another source has slots of its own', () => {
  const register = registerOf({ any });
  const bound = ['a', 'b', 'c', 'd'].map((name) => register.bind('cell', 'any', name));
  expect(bound.map((result) => typeof result)).toEqual(['number', 'number', 'number', 'string']);
  expect(bound[3]).toBe('too-many');
  expect(register.bind('other', 'any', 'd')).toEqual(expect.any(Number));
});

test('a tag that a watch names has its number and a slot from the start', () => {
  const register = registerOf({ any }, ['speed', 'pump-7.rms']);
  const number = register.numbers().get('pump-7.rms');
  expect(register.tags[Number(number)]).toMatchObject({ name: 'pump-7.rms', pattern: 'any', source: 'cell' });
  expect(register.bind('cell', 'any', 'pump-7.rms')).toBe(number);
  expect(register.bind('other', 'any', 'pump-7.rms')).toBe('name-taken');
  expect(register.tags.filter(({ source }) => source === 'cell')).toHaveLength(4);
});

test('of two patterns that match a name, the one with more literal characters creates the tag', () => {
  const rms = { topic: 'a/{asset}/rms', tag: '{asset}.rms', unit: 'mm/s' };
  const register = registerOf({ any, rms }, ['pump-7.rms']);
  const number = Number(register.numbers().get('pump-7.rms'));
  expect(register.tags[number]).toMatchObject({ pattern: 'rms', unit: 'mm/s' });
});

test.each(['speed', 'a/b', 'a+b', '$SYS', '', ' a', 'a\u001b', 'x'.repeat(129)])(
  '%j is not a name that can be created',
  (name) => {
    const register = registerOf({ any });
    expect(register.bind('cell', 'any', name)).toBe(name === 'speed' ? 'name-taken' : 'name-unfit');
    expect(register.tags.filter((tag) => tag.name !== '')).toHaveLength(1);
  },
);

test('after a change tags keep their numbers, also those that data created, and no number gets another name', () => {
  const register = registerOf({ any });
  const { tags } = register;
  const numberOf = (name: string) => register.numbers().get(name);
  const [speed, rms] = [numberOf('speed'), register.bind('cell', 'any', 'pump-1.rms')];
  const changed = { ...any, maxTags: 2 };
  const config = (cell: object) =>
    configSchema.parse({ agent: { id: 'edge' }, sources: { cell: { type: 'mqtt', url: 'mqtt://b', ...cell } } });

  const first = { first: { topic: 'a/first' } };
  register.change(config({ tags: { ...first, speed: { topic: 'a/speed' } }, patterns: { any: changed } }));
  expect(register.tags).toBe(tags);
  expect([numberOf('speed'), numberOf('pump-1.rms')]).toEqual([speed, rms]);
  expect(tags.map(({ number }) => number)).toEqual(tags.map((_, index) => index));
  const free = ['a', 'b'].map((name) => register.bind('cell', 'any', name));
  expect(free).toEqual([expect.any(Number), 'too-many']);

  const gone = register.change(config({ tags: first }));
  expect(gone).toEqual(new Set([speed, rms, free[0]]));
  for (const number of gone) expect(tags[number]).toMatchObject({ name: '', source: '' });
  register.change(config({ tags: { ...first, other: { topic: 'a/other' } }, patterns: { any } }));
  expect([speed, rms, free[0]]).not.toContain(numberOf('other'));

  register.change(config({ tags: { speed: { topic: 'a/speed' } }, patterns: { any } }));
  expect(numberOf('speed')).toBe(speed);
  expect([speed, free[0]]).not.toContain(register.bind('cell', 'any', 'pump-1.rms'));
});

test('a change names the numbers whose tag is new or has other rules', () => {
  const config = (unit: string) =>
    configSchema.parse({
      agent: { id: 'edge' },
      sources: { cell: { type: 'mqtt', url: 'mqtt://b', tags: { speed: { topic: 'a/speed', unit } } } },
    });
  const register = new TagRegister(config(''));
  expect(register.change(config(''))).toEqual(new Set());
  expect(register.change(config('rpm'))).toEqual(new Set([register.numbers().get('speed')]));
});
