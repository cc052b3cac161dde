import { expect, test } from 'vitest';
import { fuzzV2 } from '../../support/v2-fuzz.ts';

/*
 * Hostile requests over sockets to a server in a process of its own, with a real model behind it. Invariant: every
 * request that is HTTP is answered, with a result, or with an error in words that says whether trying again helps; and
 * the server's memory does not grow by what it was sent. `scripts/fuzz-v2.ts` sends a million.
 */
test('every hostile request is answered, and memory of the server does not grow', async () => {
  const report = await fuzzV2({ seed: 7, requests: 4_000, warmUp: 4_000 });
  expect(report.faults).toEqual([]);
  expect(report.inferences).toBeGreaterThan(200);
  expect(report.tokens).toBeGreaterThan(200);
  expect(report.residentBytesGrowth).toBeLessThan(64 * 1_048_576);
});
