import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearestKey } from '../../src/config/files/config-suggestions.ts';
import { editDistance, nearest } from '../../src/domain/nearest-word.ts';

const keys = ['scanInterval', 'unitId', 'url', 'timeout', 'byteOrder', 'maxGap', 'requestTimeout'];

describe('a misspelt key gets a suggestion', () => {
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

  test('two swapped letters have a distance of 1', () => {
    expect(editDistance('tiemout', 'timeout')).toBe(1);
  });

  test('a distance is symmetric, 0 only for equal words, and at most the length of the longer word', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (from, to) => {
        const distance = editDistance(from, to);
        expect(editDistance(to, from)).toBe(distance);
        expect(distance === 0).toBe(from === to);
        expect(distance).toBeLessThanOrEqual(Math.max(from.length, to.length));
      }),
    );
  });

  test('a correct key is its own nearest key', () => {
    for (const key of keys) expect(nearest(key, keys)).toBe(key);
  });
});
