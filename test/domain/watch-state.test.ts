import { expect, test } from 'vitest';
import { type WatchFacts, watchState } from '../../src/domain/alarm/watch-state.ts';

const facts: WatchFacts = {
  isLearning: false,
  last: { verdict: 'normal', reason: undefined },
  ageMs: 500,
  hopMs: 1000,
  missing: undefined,
  unjudgedMs: 500,
  blindAfterMs: 30_000,
};

test.each<[string, Partial<WatchFacts>, string, string | undefined]>([
  ['a present verdict', {}, 'normal', undefined],
  ['a present abnormal verdict', { last: { verdict: 'abnormal', reason: undefined } }, 'abnormal', undefined],
  ['estimated tags', { last: { verdict: 'uncertain', reason: 'why' } }, 'uncertain', 'why'],
  ['a fault with estimated tags', { last: { verdict: 'abnormal', reason: 'why' } }, 'abnormal', 'why'],
  ['a verdict of two short hops ago', { hopMs: 100, ageMs: 1900 }, 'normal', undefined],
  ['a verdict older than two hops', { ageMs: 2100, unjudgedMs: 2100 }, 'unknown', 'no verdict for more than 2 s'],
  [
    'a verdict older than two long hops',
    { hopMs: 60_000, ageMs: 121_000, unjudgedMs: 121_000 },
    'blind',
    'no verdict for more than 120 s',
  ],
  ['a verdict while a tag has no value', { missing: 'current: timeout' }, 'unknown', 'current: timeout'],
  ['an unknown verdict', { last: { verdict: 'unknown', reason: 'why' }, unjudgedMs: 29_000 }, 'unknown', 'why'],
  ['unknown verdicts for long', { last: { verdict: 'unknown', reason: 'why' }, unjudgedMs: 30_000 }, 'blind', 'why'],
  [
    'no model yet',
    { isLearning: true, last: { verdict: 'unknown', reason: 'learning' }, unjudgedMs: 1e9 },
    'learning',
    undefined,
  ],
])('%s: %o', (_what, changed, state, reason) => {
  expect(watchState({ ...facts, ...changed })).toEqual({ state, reason });
});
