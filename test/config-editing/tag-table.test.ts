import { expect, test } from 'vitest';
import { readTagTable } from '../../src/config-editing/tag-table.ts';
import { tagFileText } from '../../src/config/config-tag-files.ts';

const tags = {
  pressure: { register: 'holding', address: 0, type: 'float32', unit: 'bar', range: [0, 16], scale: 0.1 },
  state: { register: 'input', address: 7, type: 'uint16', names: { 0: 'off', 1: 'on' } },
};

test.each([',', ';', '\t'] as const)(
  'an export with %j between its cells is read with the same values',
  async (separator) => {
    const { tags: read, problems } = await readTagTable({ type: 'modbus', text: tagFileText(tags, separator) });
    expect(problems).toEqual([]);
    expect(read).toEqual(Object.entries(tags).map(([name, fields]) => ({ name, fields })));
  },
);

test('cells of a spreadsheet have tabs, decimal commas and the words of its language', async () => {
  const text = 'Name\tRegister\tAddress\tScale\tTrim\npump\tholding\t3\t0,5\tWAHR\n';
  expect(await readTagTable({ type: 'modbus', text })).toEqual({
    tags: [{ name: 'pump', fields: { register: 'holding', address: 3, scale: 0.5, trim: true } }],
    problems: [],
  });
});

test('a column that the kind of source does not have is reported with its place', async () => {
  const { problems } = await readTagTable({ type: 'mqtt', text: 'name,topic,adress\na,acme/a,1\n' });
  expect(problems).toContainEqual(expect.objectContaining({ line: 1, column: 12 }));
});

test('a table without names, and a type that does not exist, are reported', async () => {
  const { problems } = await readTagTable({ type: 'mqtt', text: 'topic\nacme/a\n' });
  expect(problems[0]?.message).toContain("there is no column 'name'");
  expect((await readTagTable({ type: 'lorem', text: 'name\na\n' })).problems).toHaveLength(1);
});
