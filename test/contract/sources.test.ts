import { expect, test } from 'vitest';
import { sourceKinds } from '../../src/config/kinds.ts';
import { createContractSource, sourceFixtures } from '../support/contract-fixtures.ts';
import { lifecycleTests } from '../support/contract-tests.ts';
import { describeWith } from '../support/programs.ts';

/*
 * The contract of every kind of source (contracts/source.ts), against its real peer behind a line that goes silent, refuses
 * and dies. Nothing here knows a protocol: a new kind needs a line in sourceKinds and a fixture.
 */
test('every kind of source has a fixture, and every fixture a kind', () => {
  expect(Object.keys(sourceFixtures).toSorted()).toEqual(sourceKinds.map(({ type }) => type).toSorted());
});

for (const { type } of sourceKinds) {
  const { program } = sourceFixtures[type] ?? {};
  describeWith(program === undefined ? [] : [program], `a source of kind ${type}`, () => {
    lifecycleTests({
      peer: async () => sourceFixtures[type]?.peer() ?? Promise.reject(new Error(`no fixture for ${type}`)),
      create: (port, _peer, deps) => createContractSource(type, port, deps),
    });
  });
}
