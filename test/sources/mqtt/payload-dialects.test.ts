import { describe, expect, test } from 'vitest';
import { mqttKind } from '../../../src/sources/mqtt/mqtt-kind.ts';
import { decodePayloads } from '../../support/mqtt-decode.ts';

/*
 * Payloads as devices and bridges in plants send them.
 */
const NOW_MS = Date.UTC(2026, 5, 1, 12, 0, 1);
const TIME_MS = Date.UTC(2026, 5, 1, 12);

type Tags = Record<string, Record<string, unknown>>;

/** The last sample of each tag and the last fault, after the payloads of one topic. */
function read(payloads: string | Buffer | readonly (string | Buffer)[], tags: Tags) {
  const list = typeof payloads === 'string' || Buffer.isBuffer(payloads) ? [payloads] : payloads;
  return decodePayloads(list, tags, NOW_MS);
}

/** Values of good tags; `quality reason` of the others. */
function values(payloads: string | Buffer | readonly (string | Buffer)[], tags: Tags) {
  const { samples } = read(payloads, tags);
  return Object.fromEntries(
    Object.entries(samples).map(([tag, { value, quality, reason }]) => [
      tag,
      quality === 'good' ? value : `${quality} ${reason}`,
    ]),
  );
}

describe('a payload that has only what changed', () => {
  const tags = {
    t: { value: '$.temperature', missing: 'keep' },
    h: { value: '$.humidity', missing: 'keep' },
  };
  const full = '{"temperature":21.5,"humidity":48}';

  test.each(['{"temperature":21.6}', '{"temperature":21.6,"humidity":null}'])('%s keeps the other tag', (payload) => {
    expect(values([full, payload], tags)).toEqual({ t: 21.6, h: 48 });
    expect(read([full, payload], tags).fault).toBeUndefined();
  });

  test('and is another kind of message keeps every tag', () => {
    expect(values([full, '{"update":{"state":"idle"}}'], tags)).toEqual({ t: 21.5, h: 48 });
  });

  test('and is not JSON makes every tag bad', () => {
    expect(values([full, 'offline'], tags)).toEqual({ t: 'bad payload-invalid', h: 'bad payload-invalid' });
  });

  test('makes the other tag bad without missing: keep', () => {
    expect(
      values([full, '{"temperature":21.6}'], { t: { value: '$.temperature' }, h: { value: '$.humidity' } }),
    ).toEqual({
      t: 21.6,
      h: 'bad payload-invalid',
    });
  });

  test('a path without a value since the start is named', () => {
    const typo = { t: { value: '$.temprature', missing: 'keep' } };
    expect(read([full, full], typo)).toMatchObject({
      samples: {},
      fault: 't: no message had a value at $.temprature yet',
    });
  });

  test('missing: keep needs a path', () => {
    const parsed = mqttKind.schema.safeParse({
      type: 'mqtt',
      url: 'mqtt://b',
      tags: { t: { topic: 'a', missing: 'keep' } },
    });
    expect(parsed.error?.issues[0]?.message).toBe('missing: keep requires value, the path that a payload may lack');
  });
});

describe('a bare word that Python or C writes for a number', () => {
  const tags = { t: { value: '$.t' }, p: { value: '$.p' } };

  test.each([
    'NaN',
    'nan',
    '-nan',
    'nan(ind)',
    '-nan(ind)',
    '1.#QNAN',
    '-1.#IND',
    '1.#INF',
    '-Infinity',
    'inf',
    '-inf',
    '"NaN"',
  ])('%s costs only its own tag', (word) => {
    expect(values(`{"t": 21.5, "p": ${word}}`, tags)).toEqual({ t: 21.5, p: 'bad not-finite' });
  });

  test('True, False and None are read as in Python', () => {
    expect(values('{"t": True, "p": None}', tags)).toEqual({ t: 1, p: 'bad payload-invalid' });
  });

  test('is left alone in a text', () => {
    expect(values(String.raw`{"t": 21.5, "p": NaN, "text": "a \" NaN, inf"}`, tags)).toEqual({
      t: 21.5,
      p: 'bad not-finite',
    });
  });

  test.each(['{"t": 21.5, "p": 3,}', "{'t': 21.5, 'p': 3}", '{"t": +21.5}', '{"t":21.5}\n{"t":21.6}'])(
    '%s is refused with what the parser found',
    (payload) => {
      expect(read(payload, tags).fault).toMatch(/^t: the payload is not JSON: .*JSON/);
    },
  );
});

describe('bytes around a payload', () => {
  const json = { t: { value: '$.t' } };
  const plain = { t: {} };

  test.each<[string, Buffer, Tags]>([
    ['a NUL after JSON', Buffer.from('{"t":21.5}\0'), json],
    ['a NUL after a number', Buffer.from('21.5\0'), plain],
    ['NULs up to a multiple of 4', Buffer.from('21.5\0\0\0\0'), plain],
    ['a number in a fixed field', Buffer.from(`21.5${'\0'.repeat(124)}`), plain],
    ['the byte order mark of UTF-8', Buffer.from('\uFEFF{"t":21.5}'), json],
    ['the byte order mark of UTF-8 before a number', Buffer.from('\uFEFF21.5'), plain],
    ['UTF-16', Buffer.from('\uFEFF{"t":21.5}', 'utf16le'), json],
    ['quotation marks', Buffer.from('"21.5"'), plain],
  ])('%s are ignored', (_what, payload, tags) => {
    expect(values(payload, tags)).toEqual({ t: 21.5 });
  });

  test('gzip is named', () => {
    expect(read(Buffer.from('1f8b0800', 'hex'), json).fault).toBe(
      't: the payload is not JSON: it is compressed with gzip',
    );
  });
});

describe('a state as text', () => {
  const map = { ON: 1, OFF: 0, 'in transit': 0.5 };

  test.each([
    ['ON', 1],
    ['on', 1],
    ['Off', 0],
    [' in transit\n', 0.5],
    ['True', 1],
    ['FALSE', 0],
    ['7', 7],
  ])('%j is %d by the map, as True and False, or as a number', (payload, value) => {
    expect(values(payload, { run: { map } })).toEqual({ run: value });
    expect(values(JSON.stringify({ state: payload }), { run: { value: '$.state', map } })).toEqual({ run: value });
  });

  test('without a number is bad, and the fault names the key', () => {
    expect(read('OPEN', { run: {} }).fault).toBe('run: expected a number, found "OPEN"; map gives texts a number');
    expect(read('OPEN', { run: { map } }).fault).toBe('run: expected a number, found "OPEN"');
  });
});

describe('the time', () => {
  const timed = (ts: unknown, more: object = {}) =>
    read(JSON.stringify({ v: 1, ts }), { t: { value: '$.v', time: '$.ts', ...more } });

  test.each([
    1_780_315_200,
    '1780315200',
    1_780_315_200_000,
    '1780315200000',
    1_780_315_200_000_000,
    1_780_315_200_000_000_000,
    134_247_888_000_000_000,
    '2026-06-01T12:00Z',
    '20260601T120000Z',
    '20260601T140000+0200',
    '2026-06-01 12:00:00 +00:00',
    '2026-06-01T14:00:00+02',
    '2026-06-01 12:00:00 UTC',
    '2026/06/01 12:00:00Z',
    'Mon, 01 Jun 2026 12:00:00 GMT',
    '1 Jun 2026 14:00:00 +0200',
  ])('%j is unambiguous', (ts) => {
    expect(timed(ts).samples['t']).toMatchObject({ timeMs: TIME_MS, quality: 'good' });
  });

  test('in seconds may have a fraction', () => {
    expect(timed(1_780_315_200.25).samples['t']).toMatchObject({ timeMs: TIME_MS + 250, quality: 'good' });
  });

  test('in seconds in a list of samples keeps the order', () => {
    const tags = { t: { samples: '$.s', value: '$[1]', time: '$[0]' } };
    const { all } = read('{"s":[[1780315198,1.5],[1780315199,1.6]]}', tags);
    expect(all.map(({ value, timeMs }) => [value, timeMs])).toEqual([
      [1.5, TIME_MS - 2000],
      [1.6, TIME_MS - 1000],
    ]);
  });

  test.each<[unknown, object]>([
    ['2026-06-01T14:00:00', { timeZone: 'Europe/Berlin' }],
    ['2026-06-01 14:00', { timeZone: 'Europe/Berlin' }],
    ['01.06.2026 14:00:00', { timeZone: 'Europe/Berlin' }],
    ['20260601140000', { timeZone: 'Europe/Berlin' }],
    ['2026-06-01T12:00:00', { timeZone: 'UTC' }],
    ['2026-06-01T12:00:00Z', { timeZone: 'Europe/Berlin' }],
    [46_174.583_333_333_336, { timeUnit: 'excel', timeZone: 'Europe/Berlin' }],
    [1_780_315_200_000, { timeUnit: 'ms' }],
  ])('%j is read with %j', (ts, format) => {
    expect(timed(ts, format).samples['t']).toMatchObject({ timeMs: TIME_MS, quality: 'good' });
  });

  test('of the hour that occurs twice in autumn is the one nearer to the arrival', () => {
    const tags = { t: { value: '$.v', time: '$.ts', timeZone: 'Europe/Berlin' } };
    const payload = '{"v":1,"ts":"2025-10-26T02:30:00"}';
    const at = (hour: number) => decodePayloads([payload], tags, Date.UTC(2025, 9, 26, hour, 31)).samples['t']?.timeMs;
    expect([at(0), at(1)]).toEqual([Date.UTC(2025, 9, 26, 0, 30), Date.UTC(2025, 9, 26, 1, 30)]);
    // A stored message can be of either hour.
    const arrivedMs = Date.UTC(2025, 9, 26, 9);
    expect(decodePayloads([payload], tags, arrivedMs).samples['t']).toMatchObject({
      quality: 'uncertain',
      reason: 'time-invalid',
      timeMs: arrivedMs,
    });
  });

  test.each<[unknown, object]>([
    ['2026-06-01T14:00:00', {}],
    ['2026-03-29T02:30:00', { timeZone: 'Europe/Berlin' }],
    [46_174.5, {}],
    [86_400, { timeUnit: 's' }],
  ])('%j with %j is not a time, and the fault shows it', (ts, format) => {
    expect(timed(ts, format)).toMatchObject({
      samples: { t: { quality: 'uncertain', reason: 'time-invalid', timeMs: NOW_MS } },
      fault: `t: expected an epoch time or a time with a zone at $.ts (for others set timeUnit or timeZone), found ${JSON.stringify(ts)}`,
    });
  });

  test('needs a zone that exists', () => {
    const tag = { topic: 'a', value: '$.v', time: '$.t', timeZone: 'Berlin' };
    const parsed = mqttKind.schema.safeParse({ type: 'mqtt', url: 'mqtt://b', tags: { t: tag } });
    expect(parsed.error?.issues[0]?.message).toBe('expected a time zone such as Europe/Berlin or UTC');
  });
});

describe('the quality', () => {
  const marked = (payload: object, quality: string, more: object = {}) =>
    read(JSON.stringify({ v: 1, ...payload }), { t: { value: '$.v', quality, ...more } });

  test.each<[object, string, string]>([
    [{ Value: { StatusCode: 0 } }, '$.Value.StatusCode', 'good'],
    [{ StatusCode: 0x00_96_00_00 }, '$.StatusCode', 'good'],
    [{ StatusCode: 0x40_92_00_00 }, '$.StatusCode', 'uncertain'],
    [{ StatusCode: 0x80_05_00_00 }, '$.StatusCode', 'bad'],
    [{ status: -2_147_155_968 }, '$.status', 'bad'],
    [{ q: 0x80_00_00_00 }, '$.q', 'bad'],
    [{ q: '0x80050000' }, '$.q', 'bad'],
    [{ q: { Code: 0, Symbol: 'Good' } }, '$.q', 'good'],
    [{ q: { Code: 2_147_483_648, Symbol: 'Bad' } }, '$.q', 'bad'],
    [{ q: { value: 1_083_179_008, name: 'UncertainLastUsableValue' } }, '$.q', 'uncertain'],
    [{ q: 192 }, '$.q', 'good'],
    [{ q: 216 }, '$.q', 'good'],
    [{ q: 0x01_c0 }, '$.q', 'good'],
    [{ q: 0x12_58 }, '$.q', 'uncertain'],
    [{ q: 0x12_18 }, '$.q', 'bad'],
    [{ q: 0 }, '$.q', 'bad'],
    [{ q: '192' }, '$.q', 'good'],
    [{ q: 'OK' }, '$.q', 'good'],
    [{ q: 'Good_LocalOverride' }, '$.q', 'good'],
    [{ q: 'GoodNoData' }, '$.q', 'good'],
    [{ q: 'Uncertain_SubNormal' }, '$.q', 'uncertain'],
    [{ q: 'BadCommunicationError' }, '$.q', 'bad'],
    [{ valid: 1 }, '$.valid', 'good'],
    [{ valid: 0 }, '$.valid', 'bad'],
    [{ isGood: true }, '$.isGood', 'good'],
  ])('%j at %s is %s', (payload, path, expected) => {
    const { samples, fault } = marked(payload, path);
    expect(samples['t']?.quality).toBe(expected);
    expect(fault === undefined).toBe(expected === 'good');
  });

  test('of a small number is as qualityCodes says', () => {
    expect(marked({ q: 0 }, '$.q', { qualityCodes: 'opcua' }).samples['t']?.quality).toBe('good');
    expect(marked({ status: 0 }, '$.status', { qualityCodes: 'opcda' }).samples['t']?.quality).toBe('bad');
  });

  test.each<[unknown, string]>([
    ['schlecht', '"schlecht"'],
    [1, '1'],
    [0x80, '128'],
    [0xc0_00_00_00, '3221225472'],
    [{}, 'an object'],
    [[192], 'a list'],
    [1.5, '1.5'],
  ])('%j is unknown: uncertain, and named', (q, found) => {
    expect(marked({ q }, '$.q')).toMatchObject({
      samples: { t: { value: 1, quality: 'uncertain', reason: 'marked-not-good' } },
      fault: `t: expected a quality at $.q, found ${found}`,
    });
  });

  test('that is bad is named with the value found', () => {
    expect(marked({ q: 24 }, '$.q').fault).toBe('t: the sender marks the value as bad at $.q: 24');
  });
});

test('a filter reads one entry of a list, and two entries are an error', () => {
  const payload = JSON.stringify({
    s: [
      { id: 't', v: 1 },
      { id: 'p', v: 2 },
    ],
  });
  expect(values(payload, { t: { value: "$.s[?@.id=='t'].v" } })).toEqual({ t: 1 });
  expect(read(payload, { t: { value: '$.s[*].v' } }).fault).toBe('t: expected a number at $.s[*].v, found 2 values');
});
