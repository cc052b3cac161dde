import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Deps } from '../../src/platform/deps.ts';
import { activeResources, CountingClock, grown } from './contract-clock.ts';
import type { ContractPeer, Subject } from './contract-fixtures.ts';
import { FaultyLine } from './contract-line.ts';
import { testDeps } from './test-deps.ts';

/** Many times the period at which every fixture has something to do. */
const SILENCE_MS = 400;
const SETTLE_MS = 100;

const nothing = { connections: 0, timers: 0, accepted: 0, delivered: 0 };

/** The comparison at the end of a test runs in a poll, which has a timer of its own. */
async function resourcesInPoll(): Promise<ReadonlyMap<string, number>> {
  let found = activeResources();
  await expect.poll(() => (found = activeResources())).toBeDefined();
  return found;
}

/** A fault of a peer: its start and its end. */
const troubles: Readonly<Record<string, (line: FaultyLine) => Promise<void>>> = {
  'takes connections and says nothing': async (line) => line.set('silent'),
  'refuses connections': async (line) => line.set('refusing'),
  'is dead': (line) => line.end(),
};

export type ContractOptions<Peer extends ContractPeer> = {
  readonly peer: () => Promise<Peer>;
  /** @param port Port of the line to the peer. */
  readonly create: (port: number, peer: Peer, deps: Deps) => Promise<Subject>;
};

/** The contract of a source or an uplink in time: nothing before `start`, nothing after disposal, and no peer ends it. */
export function lifecycleTests<Peer extends ContractPeer>({ peer: startPeer, create }: ContractOptions<Peer>): void {
  async function prepare() {
    const peer = await startPeer();
    const line = await FaultyLine.to(peer.port);
    const clock = new CountingClock();
    const before = await resourcesInPoll();
    const subject = await create(line.port, peer, testDeps(clock));
    /** Resources and events after the disposal; none if it keeps its contract. */
    const leftovers = async () => {
      await expect.poll(() => [line.connections, clock.timers]).toEqual([0, 0]);
      // Connections and bytes that the kernel accepted before the disposal may be reported after it.
      await wait(SETTLE_MS);
      const [accepted, delivered] = [line.accepted, subject.delivered()];
      await wait(SILENCE_MS);
      const { connections } = line;
      const { timers } = clock;
      return { connections, timers, accepted: line.accepted - accepted, delivered: subject.delivered() - delivered };
    };
    const dispose = async () => {
      await subject[Symbol.asyncDispose]();
      await line[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    };
    return { line, clock, before, subject, leftovers, [Symbol.asyncDispose]: dispose };
  }

  test('its constructor does no I/O, and before start it can be disposed of, twice', async () => {
    await using bench = await prepare();
    await bench.line.begin();
    await wait(SILENCE_MS / 4);
    expect([bench.line.accepted, bench.clock.timers]).toEqual([0, 0]);
    await bench.subject[Symbol.asyncDispose]();
    await bench.subject[Symbol.asyncDispose]();
    expect(await bench.leftovers()).toEqual(nothing);
    expect(bench.line.accepted).toBe(0);
  });

  test('after disposal it is silent, and a second one is fine', async () => {
    await using bench = await prepare();
    await bench.line.begin();
    const { subject } = bench;
    subject.start();
    await expect.poll(() => subject.delivered()).toBeGreaterThan(2);
    await subject[Symbol.asyncDispose]();
    expect(await bench.leftovers()).toEqual(nothing);
    await subject[Symbol.asyncDispose]();
    await bench.line.end();
    await expect.poll(() => grown(bench.before)).toEqual([]);
  });

  test(
    'a peer that is away at the start makes it degraded, and it works once the peer is there',
    { timeout: 120_000 },
    async () => {
      await using bench = await prepare();
      bench.subject.start();
      await expect.poll(() => trouble(bench.subject)).toMatch(/\w/);
      await bench.line.begin();
      await expect.poll(working(bench.subject)).toBe(true);
    },
  );

  for (const [title, begin] of Object.entries(troubles)) {
    test(`a peer that ${title} makes it degraded, and it recovers automatically`, async () => {
      await using bench = await prepare();
      await bench.line.begin();
      bench.subject.start();
      await expect.poll(working(bench.subject)).toBe(true);
      await begin(bench.line);
      await expect.poll(() => trouble(bench.subject)).toMatch(/\w/);
      if (title === 'is dead') await bench.line.begin();
      else bench.line.set('open');
      await expect.poll(working(bench.subject)).toBe(true);
    });

    test(`while its peer ${title} it can be disposed of, and is silent`, async () => {
      await using bench = await prepare();
      await bench.line.begin();
      await begin(bench.line);
      bench.subject.start();
      await expect.poll(() => trouble(bench.subject)).toMatch(/\w/);
      await bench.subject[Symbol.asyncDispose]();
      expect(await bench.leftovers()).toEqual(nothing);
    });
  }
}

/** Returns the reason of a degraded health; undefined if it is not degraded. */
function trouble(subject: Subject): string | undefined {
  const { status, reason } = subject.health() ?? {};
  return status === 'degraded' ? reason : undefined;
}

/** Tells, asked again and again, whether it is ok and has delivered since it was. */
function working(subject: Subject): () => boolean {
  let before: number | undefined;
  return () => {
    before = subject.health()?.status === 'ok' ? (before ?? subject.delivered()) : undefined;
    return before !== undefined && subject.delivered() > before;
  };
}
