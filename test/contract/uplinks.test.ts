import { expect, test } from 'vitest';
import { uplinkKinds } from '../../src/config/kinds.ts';
import { createContractUplink, fileUplinks, uplinkFixtures } from '../support/contract-fixtures.ts';
import { lifecycleTests } from '../support/contract-tests.ts';
import { describeWith } from '../support/programs.ts';

/*
 * The contract of every kind of uplink (contracts/uplink.ts), against its real peer behind a line that goes silent, refuses
 * and dies. Nothing here knows a protocol: a new kind needs a line in uplinkKinds and a fixture.
 */
test('every kind of uplink has a fixture, and every fixture a kind', () => {
  expect([...Object.keys(uplinkFixtures), ...fileUplinks].toSorted()).toEqual(
    uplinkKinds.map(({ type }) => type).toSorted(),
  );
});

for (const [type, { program, peer: startPeer }] of Object.entries(uplinkFixtures))
  describeWith(program === undefined ? [] : [program], `an uplink of kind ${type}`, () => {
    lifecycleTests({
      peer: startPeer,
      create: (port, peer, deps) => createContractUplink(type, port, () => peer.arrived(), deps),
    });
  });
