import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainChecksum, rowChecksum } from '../../src/outbox/file/row-checksum.ts';

test('the checksum of a row is the CRC-32 of its fields as text, and of its body', () => {
  const integer = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const row = fc.record({
    sequence: fc.maxSafeNat(),
    kind: fc.constantFrom('verdict', 'alarm'),
    watch: fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme' })),
    timestamp: fc.oneof(fc.maxSafeInteger(), fc.double(), fc.constantFrom(0, -0, 1e9, 1_800_000_000_000, 1e21)),
    body: fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array()),
    names: fc.option(integer),
    original_id: fc.option(fc.string({ unit: 'grapheme' })),
  });
  fc.assert(
    fc.property(fc.string(), row, (epoch, { body, ...fields }) => {
      const { sequence, kind, timestamp, watch, original_id, names } = fields;
      const end = names === null ? '' : `/${names}`;
      const text = `${epoch}/${sequence}/${kind}/${timestamp}/${watch}/${original_id ?? ''}${end}`;
      expect(rowChecksum(epoch, { body, ...fields })).toBe(crc32(body, crc32(text)) | 0);
    }),
    { numRuns: 2000 },
  );
});

test('a verdict in the columns of a range has the same checksum as its row', () => {
  const integer = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const row = fc.record({ sequence: fc.maxSafeNat(), timestamp: fc.maxSafeNat(), names: integer });
  fc.assert(
    fc.property(fc.string(), row, fc.uint8Array({ maxLength: 100 }), fc.nat(9), (epoch, fields, body, before) => {
      const columns = new DataView(new ArrayBuffer(before + body.length + 3));
      new Uint8Array(columns.buffer).set(body, before);
      const checksum = rowChecksum(epoch, { ...fields, kind: 'verdict', watch: '', original_id: null, body });
      expect(plainChecksum(epoch, fields, columns, before, before + body.length)).toBe(checksum);
    }),
    { numRuns: 2000 },
  );
});
