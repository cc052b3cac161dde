import { describe, expect, test } from 'vitest';
import {
  type ModelStanding,
  planRollout,
  type RolloutRequest,
  unfinishedRollback,
} from '../../src/domain/rollout/rollout-plan.ts';

const HOUR_MS = 3_600_000;
const nowMs = Date.UTC(2026, 0, 1);
const pump = (version?: number) => ({ name: 'pump', version });
const standing: ModelStanding = { active: 3, previous: 2, activatedMs: 0, pinned: false, rejected: [] };
const rejected = (version: number, timestampMs = nowMs) => [{ version, reason: 'it crashed once', timestampMs }];
const request: RolloutRequest = { model: pump(), shadow: undefined, canary: undefined };

type Case = readonly [
  title: string,
  request: Partial<RolloutRequest>,
  standing: Partial<ModelStanding>,
  expected: string,
];

const cases: readonly Case[] = [
  ['no rollout is configured', {}, {}, ''],
  ['a shadow is compared with the active version', { shadow: pump(4) }, {}, 'shadow 4/3'],
  ['a shadow is compared with the version that the watch names', { model: pump(1), shadow: pump(4) }, {}, 'shadow 4/1'],
  ['a canary may be older than the active version', { canary: pump(1) }, {}, 'canary 1/3'],
  ['the active version cannot be a canary', { canary: pump(3) }, {}, 'obstacle'],
  ['a rejected version cannot be a shadow', { shadow: pump(4) }, { rejected: rejected(4) }, 'obstacle'],
  ['without an active version there is nothing to compare with', { shadow: pump(4) }, { active: undefined }, ''],
  ['a version activated now is on probation', {}, { activatedMs: nowMs }, 'probation 3/2'],
  ['a probation has priority over a shadow', { shadow: pump(4) }, { activatedMs: nowMs }, 'probation 3/2'],
  ['a canary has priority over a probation', { canary: pump(4) }, { activatedMs: nowMs }, 'canary 4/3'],
  ['a probation ends', {}, { activatedMs: nowMs - HOUR_MS }, ''],
  [
    'a probation starts now if the clock is before the activation',
    {},
    { activatedMs: nowMs + 9 * HOUR_MS },
    'probation 3/2',
  ],
  ['a pinned version has no probation', {}, { activatedMs: nowMs, pinned: true }, ''],
  ['the first version has no probation', {}, { activatedMs: nowMs, previous: undefined }, ''],
  ['activating a lower version does not start a probation', {}, { activatedMs: nowMs, active: 2, previous: 3 }, ''],
  ['a rejected previous version cannot be the incumbent', {}, { activatedMs: nowMs, rejected: rejected(2) }, ''],
];

describe('the rollout of a watch', () => {
  test.each(cases)('%s', (_, own, directory, expected) => {
    const { plan, obstacle } = planRollout({ ...request, ...own }, { ...standing, ...directory }, HOUR_MS, nowMs);
    const planned = plan === undefined ? '' : `${plan.kind} ${plan.candidate}/${plan.incumbent}`;
    expect(obstacle === undefined ? planned : 'obstacle').toBe(expected);
  });

  test('a probation ends within the configured time, and 0 turns it off', () => {
    const activated = { ...standing, activatedMs: nowMs - 60_000 };
    expect(planRollout(request, activated, HOUR_MS, nowMs).plan?.endsMs).toBe(nowMs - 60_000 + HOUR_MS);
    expect(planRollout(request, activated, 0, nowMs).plan).toBeUndefined();
  });
});

describe('an interrupted rollback', () => {
  test.each<readonly [string, Partial<ModelStanding>, boolean]>([
    ['is completed if the active version was rejected after its activation', { rejected: rejected(3) }, true],
    [
      'does not exist if the version was activated after its rejection',
      { rejected: rejected(3), activatedMs: nowMs + 1 },
      false,
    ],
    ['does not exist if another version was rejected', { rejected: rejected(4) }, false],
    ['is not completed if the version is pinned', { rejected: rejected(3), pinned: true }, false],
    [
      'is not completed if the previous version was rejected too',
      { rejected: [...rejected(3), ...rejected(2)] },
      false,
    ],
    ['is not completed without a previous version', { rejected: rejected(3), previous: undefined }, false],
  ])('%s', (_, directory, expected) => {
    expect(unfinishedRollback({ ...standing, ...directory }) !== undefined).toBe(expected);
  });
});
