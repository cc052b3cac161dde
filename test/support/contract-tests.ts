import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Deps } from '../../src/platform/deps.ts';
import { activeResources, CountingClock, grown } from './contract-clock.ts';
import type { ContractPeer, Subject } from './contract-fixtures.ts';
import { FaultyLine } from './contract-line.ts';
import { testDeps } from './test-deps.ts';

/** Many times the period at which every fixture has something to do. */
const SILENCE_MS = 400;
const LIMIT = { timeout: 15_000 };

/** What can be wrong with a peer: how it begins, and how it ends. */
const troubles: Readonly<Record<string, (line: FaultyLine) => Promise<void>>> = {
  'takes connections and says nothing': async (line) => line.set('silent'),
  'refuses connections': async (line) => line.set('refusing'),
  'is dead': (line) => line.end(),
};

export type ContractOptions<Peer extends ContractPeer> = {
  readonly peer: () => Promise<Peer>;
  /** @param port Where the line to the peer is. */
  readonly create: (port: number, peer: Peer, deps: Deps) => Subject;
};

/** The contract of a source or an uplink in time: nothing before `start`, nothing after disposal, and no peer ends it. */
export function lifecycleTests<Peer extends ContractPeer>({ peer: startPeer, create }: ContractOptions<Peer>): void {
  async function prepare() {
    const peer = await startPeer();
    const line = await FaultyLine.to(peer.port);
    const clock = new CountingClock();
    const before = activeResources();
    const subject = create(line.port, peer, testDeps(clock));
    /** Nothing of it is left, and nothing comes of it any more. */
    const expectSilence = async () => {
      await expect.poll(() => [line.connections, clock.timers], LIMIT).toEqual([0, 0]);
      const [accepted, delivered] = [line.accepted, subject.delivered()];
      await wait(SILENCE_MS);
      expect([line.connections, clock.timers, line.accepted, subject.delivered()]).toEqual([0, 0, accepted, delivered]);
    };
    const dispose = async () => {
      await subject[Symbol.asyncDispose]();
      await line[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    };
    return { line, clock, before, subject, expectSilence, [Symbol.asyncDispose]: dispose };
  }

  test('its constructor does no I/O, and before start it can be disposed of, twice', async () => {
    await using bench = await prepare();
    await bench.line.begin();
    await wait(SILENCE_MS / 4);
    expect([bench.line.accepted, bench.clock.timers]).toEqual([0, 0]);
    await bench.subject[Symbol.asyncDispose]();
    await bench.subject[Symbol.asyncDispose]();
    await bench.expectSilence();
    expect(bench.line.accepted).toBe(0);
  });

  test('after disposal it is silent, and a second one is fine', { timeout: 60_000 }, async () => {
    await using bench = await prepare();
    await bench.line.begin();
    const { subject } = bench;
    subject.start();
    await expect.poll(() => subject.delivered(), LIMIT).toBeGreaterThan(2);
    await subject[Symbol.asyncDispose]();
    await bench.expectSilence();
    await subject[Symbol.asyncDispose]();
    await bench.line.end();
    await expect.poll(() => grown(bench.before), LIMIT).toEqual([]);
  });

  test(
    'a peer that is away at the start makes it degraded, and it comes to work by itself',
    { timeout: 60_000 },
    async () => {
      await using bench = await prepare();
      bench.subject.start();
      await expectDegraded(bench.subject);
      await bench.line.begin();
      await expectWorking(bench.subject);
    },
  );

  for (const [title, begin] of Object.entries(troubles)) {
    test(`a peer that ${title} makes it degraded, and it comes back by itself`, { timeout: 60_000 }, async () => {
      await using bench = await prepare();
      await bench.line.begin();
      bench.subject.start();
      await expectWorking(bench.subject);
      await begin(bench.line);
      await expectDegraded(bench.subject);
      if (title === 'is dead') await bench.line.begin();
      else bench.line.set('open');
      await expectWorking(bench.subject);
    });

    test(`while its peer ${title} it can be disposed of, and is silent`, { timeout: 60_000 }, async () => {
      await using bench = await prepare();
      await bench.line.begin();
      await begin(bench.line);
      bench.subject.start();
      await expectDegraded(bench.subject);
      await bench.subject[Symbol.asyncDispose]();
      await bench.expectSilence();
    });
  }
}

async function expectDegraded(subject: Subject): Promise<void> {
  await expect.poll(() => subject.health()?.status, LIMIT).toBe('degraded');
  expect(subject.health()?.reason).not.toBe('');
}

async function expectWorking(subject: Subject): Promise<void> {
  await expect.poll(() => subject.health()?.status, LIMIT).toBe('ok');
  const before = subject.delivered();
  await expect.poll(() => subject.delivered(), LIMIT).toBeGreaterThan(before);
}
