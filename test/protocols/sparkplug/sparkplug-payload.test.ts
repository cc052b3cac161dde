import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { OperatingError } from '../../../src/platform/errors.ts';
import { dataTypes, decodeSparkplug, encodeSparkplug } from '../../../src/protocols/sparkplug/sparkplug-payload.ts';
import { formatSparkplugTopic, parseSparkplugTopic } from '../../../src/protocols/sparkplug/sparkplug-topic.ts';
import { nodeBirth, nodeData } from '../../support/sparkplug-bytes.ts';

const TIME_MS = 1_780_000_000_000;

test('a birth of another program is decoded, with names, aliases and types', () => {
  const { sequence, timestamp, metrics } = decodeSparkplug(nodeBirth);
  expect({ sequence, timestamp }).toEqual({ sequence: 0, timestamp: TIME_MS });
  expect(metrics.map(({ name, alias, dataType }) => `${name} ${alias} ${dataType}`)).toEqual([
    'bdSeq undefined 8',
    'Node Control/Rebirth undefined 11',
    ...'i8 1 1, i16 2 2, i32 3 3, i64 4 4, u8 5 5, u16 6 6, u32 7 7, u64 8 8'.split(', '),
    ...'float 9 9, double 10 10, bool 11 11, text 12 12'.split(', '),
  ]);
  expect(metrics[0]?.value).toEqual({ kind: 'long', value: 7n });
  expect(metrics[11]?.value).toEqual({ kind: 'double', value: 0.1 });
});

test('data sets, templates and bytes are recognised and skipped, and the metrics around them are decoded', () => {
  const { metrics } = decodeSparkplug(nodeData);
  expect(metrics.map(({ value }) => value.kind)).toEqual(
    'int int long int float double none data-set template bytes'.split(' '),
  );
  expect(metrics[4]).toMatchObject({ alias: 9, quality: 500, isHistorical: false });
  expect(metrics[5]).toMatchObject({ alias: 10, isHistorical: true, timestamp: TIME_MS + 1000 });
});

test('an encoded payload decodes to the same values', () => {
  const drafts = fc.array(
    fc.record({
      name: fc.string({ unit: 'grapheme' }),
      timestampMs: fc.nat({ max: 2 ** 50 }),
      value: fc.oneof(fc.double(), fc.boolean(), fc.string({ unit: 'grapheme' }), fc.constant(undefined)),
    }),
  );
  fc.assert(
    fc.property(drafts, fc.option(fc.nat({ max: 255 }), { nil: undefined }), (metrics, sequence) => {
      const typed = metrics.map((metric) => ({ ...metric, dataType: typeOf(metric.value) }));
      const decoded = decodeSparkplug(encodeSparkplug(TIME_MS, sequence, typed));
      expect(decoded.sequence).toBe(sequence);
      expect(
        decoded.metrics.map(({ name, timestamp, value }) => ({
          name,
          timestampMs: timestamp,
          value: 'value' in value ? value.value : undefined,
        })),
      ).toEqual(metrics);
    }),
  );
});

function typeOf(value: number | boolean | string | undefined): number {
  if (typeof value === 'number') return dataTypes.Double;
  return typeof value === 'boolean' ? dataTypes.Boolean : dataTypes.String;
}

test('arbitrary bytes give a payload or a named error', () => {
  // A real payload with some bytes changed reaches more of the decoder than arbitrary bytes.
  const damaged = fc
    .array(fc.tuple(fc.nat({ max: nodeData.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 })
    .map((changes) => {
      const bytes = Uint8Array.from(nodeData);
      for (const [index, byte] of changes) bytes[index] = byte;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
      expect(outcomeOf(bytes)).toMatch(/^(payload|sparkplug-payload-invalid)$/);
    }),
    { numRuns: 2000 },
  );
});

function outcomeOf(bytes: Uint8Array): string {
  try {
    decodeSparkplug(bytes);
    return 'payload';
  } catch (error) {
    return error instanceof OperatingError ? error.code : 'unexpected';
  }
}

test.each([
  ['a megabyte of empty metrics', Buffer.alloc(1_000_000, Buffer.of(0x12, 0))],
  ['a megabyte of groups in groups', Buffer.alloc(1_000_000, 0x0b)],
  ['a metric that ends after the payload', Buffer.of(0x12, 100, 0x0a)],
  ['a name that is longer than its metric', Buffer.of(0x12, 3, 0x0a, 5, 65, 65, 65, 65, 65)],
])('%s is refused', (_what, bytes) => {
  expect(() => decodeSparkplug(bytes)).toThrow('The payload is not Sparkplug B');
});

test.each(['spBv1.0/acme/NBIRTH/line-2', 'spBv1.0/acme/DDATA/line-2/pump-1'])('%s is a topic', (text) => {
  const topic = parseSparkplugTopic(text);
  expect(topic && formatSparkplugTopic(topic)).toBe(text);
});

test.each([
  'spBv1.0/STATE/host',
  'spAv1.0/acme/NBIRTH/line-2',
  'spBv1.0/acme/NBIRTH/line-2/pump-1',
  'spBv1.0/acme/DDATA/line-2',
  'spBv1.0/acme/DDATA/line-2/a/b',
  'spBv1.0//NDATA/line-2',
])('%s is none', (text) => {
  expect(parseSparkplugTopic(text)).toBeUndefined();
});
