import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distributionOf } from '../../src/domain/model/drift.ts';
import { countLatency, latencyQuantile, emptyLatencyCounts } from '../../src/domain/latency-counts.ts';
import { concludeRollout } from '../../src/domain/rollout/rollout-conclusion.ts';
import { RolloutTally, type SideJudgement } from '../../src/domain/rollout/rollout-tally.ts';

const said = (score: number, more: Partial<SideJudgement> = {}): SideJudgement => ({
  score,
  threshold: 1,
  verdict: score > 1 ? 'abnormal' : 'normal',
  latencyMs: 1,
  distribution: undefined,
  ...more,
});
const scores = fc.array(
  fc.tuple(fc.float({ min: -5, max: 5, noNaN: true }), fc.float({ min: -5, max: 5, noNaN: true })),
  {
    minLength: 2,
    maxLength: 100,
  },
);

describe('a tally of two versions', () => {
  test('counts every window in one cell of its table', () => {
    fc.assert(
      fc.property(scores, (pairs) => {
        const tally = new RolloutTally(0);
        for (const [candidate, incumbent] of pairs) tally.compare(0, said(candidate), said(incumbent));
        const { table, windows, agreement, disagreements } = tally.summary();
        const both = pairs.filter(([one, other]) => one > 1 === other > 1).length;
        expect(windows).toBe(pairs.length);
        expect(table.bothNormal + table.bothAbnormal).toBe(both);
        expect(agreement).toBeCloseTo(both / pairs.length);
        expect(disagreements).toHaveLength(Math.min(20, pairs.length - both));
      }),
    );
  });

  test("computes Pearson's correlation and the mean difference without storing scores", () => {
    fc.assert(
      fc.property(scores, (pairs) => {
        const tally = new RolloutTally(0);
        for (const [candidate, incumbent] of pairs) tally.compare(0, said(candidate), said(incumbent));
        const { scoreCorrelation, scoreDifference } = tally.summary();
        const mean = (of: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[of], 0) / pairs.length;
        const [x, y] = [mean(0), mean(1)];
        const sum = (f: (a: number, b: number) => number) =>
          pairs.reduce((total, [a, b]) => total + f(a - x, b - y), 0);
        expect(scoreDifference).toBeCloseTo(x - y, 6);
        const spread = Math.sqrt(sum((a) => a * a) * sum((_, b) => b * b));
        fc.pre(spread > 1e-3);
        expect(scoreCorrelation).toBeCloseTo(sum((a, b) => a * b) / spread, 4);
      }),
    );
  });

  test('computes the drift of the scores from the training and between the versions', () => {
    const trained = distributionOf(Float64Array.from({ length: 1000 }, (_, index) => index / 1000));
    const tally = new RolloutTally(0);
    for (let index = 0; index < 1000; index += 1)
      tally.compare(
        0,
        said(0.9 + index / 1e5, { distribution: trained }),
        said(index / 1000, { distribution: trained }),
      );
    const { drift } = tally.summary();
    expect(drift.incumbent).toBeLessThan(0.01);
    expect(drift.candidate).toBeGreaterThan(1);
    expect(drift.between).toBeGreaterThan(1);
  });

  test('continues with the stored state after a restart', () => {
    const before = new RolloutTally(0);
    before.compare(1, said(2), said(0));
    before.failed('candidate', 'crash');
    const after = new RolloutTally(9, structuredClone(before.state));
    after.compare(2, said(0), said(0));
    expect(after.summary()).toMatchObject({
      sinceMs: 0,
      windows: 2,
      agreement: 0.5,
      failures: { candidate: { crash: 1 } },
      disagreements: [{ timestampMs: 1 }],
    });
  });
});

test('a latency quantile is at most 25 % too high, and never too low', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: Math.fround(0.2), max: 50_000, noNaN: true }), { minLength: 1 }),
      fc.constantFrom(0.5, 0.99),
      (latencies, share) => {
        const counts = emptyLatencyCounts();
        for (const latency of latencies) countLatency(counts, latency);
        const exact = latencies.toSorted((a, b) => a - b)[Math.ceil(share * latencies.length) - 1] ?? 0;
        const found = latencyQuantile(counts, share) ?? 0;
        expect(found).toBeGreaterThanOrEqual(exact);
        expect(found).toBeLessThanOrEqual(exact * 1.2501);
      },
    ),
  );
});

describe('the conclusion of a rollout', () => {
  const plan = { kind: 'canary', name: 'pump', candidate: 4, incumbent: 3 } as const;
  const tallied = (windows: number, candidateAbnormal: number) => {
    const tally = new RolloutTally(0);
    for (let index = 0; index < windows; index += 1) tally.compare(0, said(index < candidateAbnormal ? 2 : 0), said(0));
    return tally;
  };
  const conclude = (tally: RolloutTally, stopped?: string) =>
    concludeRollout({
      plan,
      decides: stopped === undefined ? 4 : 3,
      summary: tally.summary(),
      stopped,
      minWindows: 100,
    });

  test.each<readonly [string, string, RegExp]>([
    [
      'too few windows',
      conclude(tallied(5, 0)),
      /^Too early for a conclusion: both versions judged 5 windows, 100 are required/,
    ],
    ['equivalent versions', conclude(tallied(200, 0)), /agree on 100\.0 % .*andon models activate pump@4\.$/],
    ['different versions', conclude(tallied(200, 50)), /pump@4 found 25\.0 % .* pump@3 0\.0 %\. Check the last/],
    [
      'a stopped candidate',
      conclude(tallied(200, 0), 'it crashed once'),
      /^pump@4 was stopped because it crashed once; pump@3 decides/,
    ],
  ])('%s', (_, sentence, expected) => {
    expect(sentence).toMatch(expected);
  });

  test('a candidate that fails too often, even if the versions agree', () => {
    const tally = tallied(200, 0);
    for (let index = 0; index < 5; index += 1) tally.failed('candidate', 'invalid');
    expect(conclude(tally)).toMatch(/^pump@4 failed on 5 of 205 windows/);
  });
});
