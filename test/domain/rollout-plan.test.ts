import { describe, expect, test } from 'vitest';
import type { ModelStanding, RolloutWish } from '../../src/domain/rollout/rollout-plan.ts';
import { planRollout, unfinishedRollback } from '../../src/domain/rollout/rollout-plan.ts';

const HOUR_MS = 3_600_000;
const nowMs = Date.UTC(2026, 0, 1);
const pump = (version?: number) => ({ name: 'pump', version });
const standing: ModelStanding = { active: 3, previous: 2, activatedMs: 0, pinned: false, rejected: [] };
const rejected = (version: number, timestampMs = nowMs) => [{ version, reason: 'it crashed once', timestampMs }];
const wish: RolloutWish = { model: pump(), shadow: undefined, canary: undefined };

type Case = readonly [title: string, wish: Partial<RolloutWish>, standing: Partial<ModelStanding>, expected: string];

const cases: readonly Case[] = [
  ['nothing is asked for', {}, {}, ''],
  ['a shadow is measured by the active version', { shadow: pump(4) }, {}, 'shadow 4/3'],
  ['a shadow is measured by the version that the watch pins', { model: pump(1), shadow: pump(4) }, {}, 'shadow 4/1'],
  ['a canary may be older than the active version', { canary: pump(1) }, {}, 'canary 1/3'],
  ['what is active by now is not tried', { canary: pump(3) }, {}, 'obstacle'],
  ['what was rejected is not tried', { shadow: pump(4) }, { rejected: rejected(4) }, 'obstacle'],
  ['without an active version there is nothing to measure by', { shadow: pump(4) }, { active: undefined }, ''],
  ['a version activated now is on probation', {}, { activatedMs: nowMs }, 'probation 3/2'],
  ['a probation goes before a shadow', { shadow: pump(4) }, { activatedMs: nowMs }, 'probation 3/2'],
  ['a canary decides, so nothing is on probation there', { canary: pump(4) }, { activatedMs: nowMs }, 'canary 4/3'],
  ['a probation ends', {}, { activatedMs: nowMs - HOUR_MS }, ''],
  [
    'a clock that stands before the activation was not set yet',
    {},
    { activatedMs: nowMs + 9 * HOUR_MS },
    'probation 3/2',
  ],
  ['who pins a version wants it', {}, { activatedMs: nowMs, pinned: true }, ''],
  ['the first version has nothing to be measured by', {}, { activatedMs: nowMs, previous: undefined }, ''],
  ['a way back is no probation', {}, { activatedMs: nowMs, active: 2, previous: 3 }, ''],
  ['a rejected version measures nothing', {}, { activatedMs: nowMs, rejected: rejected(2) }, ''],
];

describe('the rollout of a watch', () => {
  test.each(cases)('%s', (_, own, directory, expected) => {
    const { plan, obstacle } = planRollout({ ...wish, ...own }, { ...standing, ...directory }, HOUR_MS, nowMs);
    const said = plan === undefined ? '' : `${plan.kind} ${plan.candidate}/${plan.incumbent}`;
    expect(obstacle === '' ? said : 'obstacle').toBe(expected);
  });

  test('a probation ends an hour after the activation, and is never held where that is 0', () => {
    const activated = { ...standing, activatedMs: nowMs - 60_000 };
    expect(planRollout(wish, activated, HOUR_MS, nowMs).plan?.endsMs).toBe(nowMs - 60_000 + HOUR_MS);
    expect(planRollout(wish, activated, 0, nowMs).plan).toBeUndefined();
  });
});

describe('a rollback that was cut off', () => {
  test.each<readonly [string, Partial<ModelStanding>, boolean]>([
    ['is finished where the active version was rejected after its activation', { rejected: rejected(3) }, true],
    [
      'is none where the version was activated after it was rejected',
      { rejected: rejected(3), activatedMs: nowMs + 1 },
      false,
    ],
    ['is none where another version was rejected', { rejected: rejected(4) }, false],
    ['is left alone where the version is pinned', { rejected: rejected(3), pinned: true }, false],
    ['is left alone where the version before was rejected too', { rejected: [...rejected(3), ...rejected(2)] }, false],
    ['is left alone where there was no version before', { rejected: rejected(3), previous: undefined }, false],
  ])('%s', (_, directory, expected) => {
    expect(unfinishedRollback({ ...standing, ...directory }) !== undefined).toBe(expected);
  });
});
