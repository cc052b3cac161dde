import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearestKey } from '../../src/config/config-suggestions.ts';
import { editDistance, nearest } from '../../src/domain/nearest-word.ts';

const keys = ['scanInterval', 'unitId', 'url', 'timeout', 'byteOrder', 'maxGap', 'requestTimeout'];

describe('a misspelt key is understood', () => {
  test.each([
    ['scan_interval', 'scanInterval'],
    ['SCANINTERVAL', 'scanInterval'],
    ['scanIntreval', 'scanInterval'],
    ['tiemout', 'timeout'],
    ['slave-id', 'unitId'],
    ['pollRate', 'scanInterval'],
  ])('%s means %s', (word, meant) => {
    expect(nearestKey(word, keys)).toBe(meant);
  });

  test.each(['frobnicate', 'xyz', 'u', '', 'tag'])("'%s' means nothing here", (word) => {
    expect(nearestKey(word, keys)).toBeUndefined();
  });

  test('two letters exchanged are one slip', () => {
    expect(editDistance('tiemout', 'timeout')).toBe(1);
  });

  test('a distance is the same both ways, 0 only for the same word, and no more than the longer word', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (from, to) => {
        const slips = editDistance(from, to);
        expect(editDistance(to, from)).toBe(slips);
        expect(slips === 0).toBe(from === to);
        expect(slips).toBeLessThanOrEqual(Math.max(from.length, to.length));
      }),
    );
  });

  test('a key spelt right is its own nearest', () => {
    for (const key of keys) expect(nearest(key, keys)).toBe(key);
  });
});
