import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config-file.ts';
import { tagFileText } from '../../src/config/config-tag-files.ts';
import { agentTags } from '../../src/config/config-tags.ts';
import { ConfigError, type ConfigProblem } from '../../src/platform/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andon-tags-'));
});
afterAll(() => rm(folder, { recursive: true }));

const head = `agent: { id: edge-01 }
sources:
  press:
    type: modbus
    url: tcp://10.0.0.7:502
`;

async function configWith(csv: string | Uint8Array, tags = '{ file: press.csv }'): Promise<string> {
  await writeFile(join(folder, 'press.csv'), csv);
  const path = join(folder, 'andon.yaml');
  await writeFile(path, `${head}    tags: ${tags}\n`);
  return path;
}

async function sourceOf(csv: string | Uint8Array, tags?: string) {
  const { config } = await loadConfig(await configWith(csv, tags));
  return config.sources['press'];
}

async function problemsOf(csv: string | Uint8Array, tags?: string): Promise<readonly string[]> {
  const path = await configWith(csv, tags);
  return loadConfig(path).then(
    () => [],
    (error: unknown) => {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map(
        ({ file, line, column, message }: ConfigProblem) =>
          `${file.slice(folder.length + 1)}:${line}:${column}: ${message}`,
      );
    },
  );
}

const english = `name,register,address,type,unit,range,deadband
press.pressure,holding,0,float32,bar,"[0, 16]",0.5
press.running,discrete,3,bool,,,
`;

const inline = {
  'press.pressure': { register: 'holding', address: 0, type: 'float32', unit: 'bar', range: [0, 16], deadband: 0.5 },
  'press.running': { register: 'discrete', address: 3, type: 'bool' },
};

describe('a register map stays in a spreadsheet', () => {
  test('a CSV file gives the tags that the configuration would', async () => {
    expect(await sourceOf(english)).toEqual(await sourceOf(english, JSON.stringify(inline)));
  });

  const german = `sep=;\r\nName;Register;Address;Type;Unit;Range;Deadband\r\npress.pressure;holding;0;float32;bar;0..16;0,5\r\npress.running;discrete;3;bool;;;\r\n`;

  test.each([
    ['separated by semicolons, with decimal commas and CRLF', german],
    ['with a byte order mark', `\uFEFF${german}`],
    ['separated by tabs', german.replace('sep=;\r\n', '').replaceAll(';', '\t')],
    [
      'as UTF-16, as Excel saves Unicode text',
      Buffer.from(`\uFEFF${german.replace('sep=;\r\n', '').replaceAll(';', '\t')}`, 'utf16le'),
    ],
    ['with empty lines and comments', `${german}\r\n;;;;;;\r\n# spare;;;;;;\r\n`],
  ])('%s', async (_, csv) => {
    expect(await sourceOf(csv)).toEqual(await sourceOf(english));
  });

  test('in the encoding of Excel on Windows', async () => {
    const csv = Buffer.from('name;register;address;type;unit\noven.temperature;holding;0;int16;°C\n', 'latin1');
    expect(await sourceOf(csv)).toMatchObject({ tags: { 'oven.temperature': { unit: '°C' } } });
  });

  test('next to tags of the configuration', async () => {
    const path = await configWith(
      english,
      '{ file: press.csv, press.speed: { register: input, address: 7, type: uint16 } }',
    );
    const { config } = await loadConfig(path);
    expect(
      agentTags(config)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['press.pressure', 'press.running', 'press.speed']);
  });

  test('for topics of a broker', async () => {
    await writeFile(join(folder, 'cell.csv'), 'name,topic,value,unit,qos\ncell.rms,a/b,$.rms,g,0\n');
    const path = join(folder, 'mqtt.yaml');
    await writeFile(
      path,
      'agent: { id: a }\nsources: { cell: { type: mqtt, url: mqtt://h, tags: { file: cell.csv } } }\n',
    );
    const { config } = await loadConfig(path);
    expect(config.sources['cell']).toMatchObject({ tags: { 'cell.rms': { topic: 'a/b', value: '$.rms', qos: 0 } } });
  });
});

describe('problems name file, line and column', () => {
  test.each([
    ['a value', english.replace('float32', 'float23'), 'press.csv:2:26: expected one of'],
    [
      'a number',
      english.replace(',3,', ',three,'),
      "press.csv:3:24: expected a whole number from 0 to 465536, found 'three'",
    ],
    [
      'a column',
      english.replace('address', 'adress'),
      "press.csv:1:15: unknown column 'adress': did you mean 'address'?",
    ],
    ['a missing name', english.replace('press.running', ''), 'press.csv:3:1: the tag has no name'],
    [
      'a name given twice',
      `${english}press.running,coil,4,bool,,,\n`,
      "press.csv:4:1: tag 'press.running' is also in line 3",
    ],
    ['a missing column of names', english.replace('name', 'unit'), "press.csv:1:1: there is no column 'name'"],
    [
      'an open quotation mark',
      english.replace('16]"', '16]'),
      'press.csv:2:1: a quotation mark is not closed on its line',
    ],
    [
      'a cell without a column',
      english.replace(',,,\n', ',,,,?\n'),
      "press.csv:3:34: the column has no header: '?' belongs to no key",
    ],
    [
      'a missing key',
      english.replace('discrete,3,bool', 'discrete,,bool'),
      'press.csv:3:24: required and missing: expected a whole number',
    ],
    [
      'a rule over several keys',
      english.replace('discrete,3,bool', 'discrete,3,int16'),
      'press.csv:3:26: expected bool for a discrete',
    ],
    ['a name that is not a topic', english.replace('press.running', 'press/running'), 'press.csv:3:1: expected a name'],
    ['an empty file', '', 'press.csv:1:1: the file has no header'],
  ])('%s', async (_, csv, expected) => {
    expect(await problemsOf(csv)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
  });

  test('a missing file is reported at its key', async () => {
    expect(await problemsOf(english, '{ file: other.csv }')).toEqual([
      expect.stringMatching(/^andon\.yaml:6:19: .*other\.csv: the file does not exist$/),
    ]);
  });

  test.each([
    ['.xlsx and .ods', 'PK\u0003\u0004'],
    ['.xls', Uint8Array.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1])],
  ])('a spreadsheet (%s) is named, with how to save it', async (_, bytes) => {
    expect(await problemsOf(bytes)).toEqual([
      expect.stringMatching(
        /press\.csv: is a spreadsheet\. Save its sheet as CSV: in Excel with "Save As", "CSV UTF-8"/,
      ),
    ]);
  });

  test('a tag in both places is reported in the file', async () => {
    const both = '{ file: press.csv, press.running: { register: coil, address: 0, type: bool } }';
    expect(await problemsOf(english, both)).toEqual([
      "press.csv:3:1: tag 'press.running' is also in line 6 of the configuration: remove one",
    ]);
  });
});

test('importing an export changes nothing', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 8 }).filter((each) => !/[\p{Cc}\u2028\u2029]/u.test(each));
  const tag = fc.record(
    {
      register: fc.constantFrom('holding', 'input'),
      address: fc.integer({ min: 0, max: 9000 }),
      type: fc.constantFrom('int16', 'uint32', 'float64'),
      unit: text,
      range: fc.tuple(fc.double({ min: -1e9, max: 0, noNaN: true }), fc.double({ min: 1, max: 1e9, noNaN: true })),
      scale: fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
      names: fc.dictionary(fc.integer().map(String), text, { maxKeys: 2 }),
      invalid: fc.oneof(fc.constantFrom('none', 'sunspec'), fc.constant(32_768), fc.constant([1, 2])),
      scanInterval: fc.constantFrom('100ms', '1.5s'),
    },
    { requiredKeys: ['register', 'address', 'type'] },
  );
  const name = fc.stringMatching(/^[a-z][a-z0-9.;,"_-]{0,12}[a-z0-9]$/);
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(name, tag, { minKeys: 1, maxKeys: 5 }),
      fc.constantFrom(',', ';', '\t'),
      async (tags, separator) => {
        const asTags = JSON.stringify(tags);
        expect(await sourceOf(tagFileText(tags, separator as ','))).toEqual(await sourceOf('', asTags));
      },
    ),
    { numRuns: 60 },
  );
});
