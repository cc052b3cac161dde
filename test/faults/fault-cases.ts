import Database from 'better-sqlite3';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { FaultLab } from './fault-lab.ts';
import type { FaultField } from './fault-shim.ts';

/** Figures of one fault, for docs/reliability.md. */
export type Figures = Readonly<Record<string, number | string>>;

/** A fault on a running daemon, from which it recovers. It may follow any other. */
export type FaultCase = {
  readonly name: string;
  /** @param holdMs How long the fault lasts. @throws {Error} if the daemon does not report it or does not recover. */
  readonly run: (lab: FaultLab, holdMs: number) => Promise<Figures>;
};

const HOUR_MS = 3_600_000;

/** Every fault of the running daemon. The oracle of the lab checks their sum at the end. */
export const faultCases: readonly FaultCase[] = [
  diskFault('fsync fails with EIO', 'fsyncEio'),
  diskFault('the disk is full (ENOSPC)', 'writeEnospc'),
  diskFault('writes fail with EIO', 'writeEio'),
  diskFault('the disk is read-only (EROFS)', 'writeErofs'),
  { name: 'another program has the outbox locked', run: lockedOutbox },
  slowDisk(300),
  slowDisk(2000),
  clockJump('the clock is set forward by 1 h', () => HOUR_MS),
  clockJump('the clock is set back by 1 h', () => -HOUR_MS),
  clockJump('the clock is at the begin of 1970', () => 60_000 - Date.now()),
  clockJump('the clock is in 2038, after 2^31 s', () => 2 ** 31 * 1000 + HOUR_MS - Date.now()),
  clockJump('daylight saving time begins', () => secondsBefore('2027-03-28T01:00:00Z')),
  clockJump('daylight saving time ends', () => secondsBefore('2027-10-31T01:00:00Z')),
  { name: 'NTP slews the clock by 2 %', run: slew },
  { name: 'the broker of subscribers and of an uplink stops', run: brokerStops },
  { name: 'the broker restarts every 2 s', run: brokerFlaps },
  { name: 'the broker and the HTTP receiver take one byte a second', run: slowPeers },
  { name: 'the HTTP receiver hangs', run: receiverHangs },
  { name: 'the HTTP receiver stores and never acknowledges', run: acknowledgementsLost },
  { name: 'the device sends one byte at a time', run: slowDevice },
  { name: 'the device resets every connection', run: resettingDevice },
  { name: 'standard output is not read', run: stalledOutput },
  { name: 'the process is stopped and continued', run: stopped },
  { name: 'thirty reloads of the configuration', run: reloads },
];

function diskFault(name: string, field: FaultField): FaultCase {
  return {
    name,
    run: (lab, holdMs) =>
      outboxFault(lab, holdMs, {
        begin: () => lab.shim.set(field, -1),
        end: () => lab.shim.set(field, 0),
      }),
  };
}

/** This process holds a write transaction, as a browser for databases or a backup script does. */
async function lockedOutbox(lab: FaultLab, holdMs: number): Promise<Figures> {
  const program = new Database(join(lab.folder.path, 'outbox.db'));
  try {
    return await outboxFault(lab, holdMs, {
      begin: () => void program.exec('BEGIN IMMEDIATE'),
      end: () => void program.exec('COMMIT'),
    });
  } finally {
    program.close();
  }
}

async function outboxFault(
  lab: FaultLab,
  holdMs: number,
  fault: { readonly begin: () => void; readonly end: () => void },
): Promise<Figures> {
  const lostBefore = await lab.metric('andon_outbox_records_lost_total');
  fault.begin();
  const reported = await lab.until('the outbox is reported', async () => 'outbox' in ((await lab.troubles()) ?? {}));
  const rate = await lab.scanRate(holdMs);
  fault.end();
  const recovered = await lab.until('the outbox is ok', async () => {
    const troubles = await lab.troubles();
    return troubles !== undefined && !('outbox' in troubles) && !('history' in troubles);
  });
  const lost = (await lab.metric('andon_outbox_records_lost_total')) - lostBefore;
  return { 'reported after ms': reported, 'scans/s': rate, 'ok after ms': recovered, 'records lost': lost };
}

function slowDisk(delayMs: number): FaultCase {
  return {
    name: `fsync takes ${delayMs} ms`,
    run: async (lab, holdMs) => {
      lab.shim.set('fsyncDelayMs', delayMs);
      const rate = await lab.scanRate(Math.max(holdMs, 2 * delayMs));
      lab.shim.set('fsyncDelayMs', 0);
      return { 'scans/s': rate, 'verdict after ms': await judgedAfter(lab) };
    },
  };
}

function clockJump(name: string, offsetMs: () => number): FaultCase {
  return {
    name,
    run: async (lab, holdMs) => {
      const judged = await afterJump(lab, offsetMs());
      const rate = await lab.scanRate(Math.max(holdMs, 3_000));
      const back = await afterJump(lab, 0);
      return { 'verdict after ms': judged, 'scans/s': rate, 'verdict after the return, ms': back };
    },
  };
}

/** Sets the clock. @returns Milliseconds until a window was judged after the jump was noticed. */
async function afterJump(lab: FaultLab, offsetMs: number): Promise<number> {
  const fromMs = performance.now();
  const jumps = await lab.metric('andon_wall_clock_jumps_total');
  lab.shim.set('clockOffsetMs', offsetMs);
  await lab.until('the jump is noticed', async () => (await lab.metric('andon_wall_clock_jumps_total')) > jumps);
  await judgedAfter(lab);
  return Math.round(performance.now() - fromMs);
}

/** Returns the offset at which the change is 1.5 s away. */
function secondsBefore(change: string): number {
  return Date.parse(change) - 1_500 - Date.now();
}

async function slew(lab: FaultLab, holdMs: number): Promise<Figures> {
  const jumps = await lab.metric('andon_wall_clock_jumps_total');
  const fromMs = performance.now();
  for (let passed = 0; passed < holdMs; passed = performance.now() - fromMs) {
    lab.shim.set('clockOffsetMs', passed * 0.02);
    await wait(20);
  }
  const judged = await judgedAfter(lab);
  lab.shim.set('clockOffsetMs', 0);
  return { 'jumps reported': (await lab.metric('andon_wall_clock_jumps_total')) - jumps, 'verdict after ms': judged };
}

async function brokerStops(lab: FaultLab, holdMs: number): Promise<Figures> {
  await lab.broker.stop();
  const reported = await lab.until(
    'the uplink is reported',
    async () => 'uplink/cloud' in ((await lab.troubles()) ?? {}),
  );
  const rate = await lab.scanRate(holdMs);
  await lab.broker.listen();
  return { 'reported after ms': reported, 'scans/s': rate, 'verdict after ms': await judgedAfter(lab) };
}

/** With `--hold 10` for two minutes. */
async function brokerFlaps(lab: FaultLab, holdMs: number): Promise<Figures> {
  const flapMs = 12 * holdMs;
  let flaps = 0;
  const flap = async (): Promise<void> => {
    for (const fromMs = performance.now(); performance.now() - fromMs < flapMs; flaps += 1) {
      await lab.broker.stop();
      await wait(1_000);
      await lab.broker.listen();
      await wait(1_000);
    }
  };
  const [rate] = await Promise.all([lab.scanRate(flapMs), flap()]);
  return { flaps, 'scans/s': rate, 'verdict after ms': await judgedAfter(lab) };
}

async function slowPeers(lab: FaultLab, holdMs: number): Promise<Figures> {
  const lines = Object.values(lab.lines);
  for (const line of lines) line.trickles = true;
  const reported = await lab.until('the uplinks are reported', async () => {
    const troubles = (await lab.troubles()) ?? {};
    return 'uplink/cloud' in troubles && 'uplink/lake' in troubles;
  });
  const rate = await lab.scanRate(holdMs);
  for (const line of lines) line.trickles = false;
  const [judged, sent] = await Promise.all([judgedAfter(lab), sentAfter(lab)]);
  return { 'reported after ms': reported, 'scans/s': rate, 'verdict after ms': judged, 'sent after ms': sent };
}

async function receiverHangs(lab: FaultLab, holdMs: number): Promise<Figures> {
  lab.lake.fault = { type: 'hang' };
  const rate = await lab.scanRate(holdMs);
  lab.lake.fault = undefined;
  lab.lake.closeConnections();
  return { 'scans/s': rate, 'sent after ms': await sentAfter(lab) };
}

async function acknowledgementsLost(lab: FaultLab, holdMs: number): Promise<Figures> {
  lab.lake.fault = { type: 'store-then-reset' };
  const rate = await lab.scanRate(holdMs);
  lab.lake.fault = undefined;
  return { 'scans/s': rate, 'sent after ms': await sentAfter(lab) };
}

async function slowDevice(lab: FaultLab, holdMs: number): Promise<Figures> {
  const { faults } = lab.plant.plc;
  faults.byteByByte = true;
  await wait(holdMs);
  faults.byteByByte = false;
  return { 'verdict after ms': await judgedAfter(lab) };
}

async function resettingDevice(lab: FaultLab, holdMs: number): Promise<Figures> {
  const { faults } = lab.plant.plc;
  faults.resetOnConnect = true;
  faults.mutate = () => [];
  const reported = await lab.until(
    'the source is reported',
    async () => 'source/plc' in ((await lab.troubles()) ?? {}),
  );
  await wait(holdMs);
  faults.resetOnConnect = false;
  faults.mutate = undefined;
  return { 'reported after ms': reported, 'verdict after ms': await judgedAfter(lab) };
}

/** A reader of the log stalls until the pipe and the buffer behind it are full. Reloads write the lines. */
async function stalledOutput(lab: FaultLab, holdMs: number): Promise<Figures> {
  const { child } = lab.agent;
  child.stdout?.pause();
  const untilMs = performance.now() + holdMs;
  while (performance.now() < untilMs) {
    child.kill('SIGHUP');
    await wait(20);
  }
  const judged = await judgedAfter(lab);
  await lab.healthy();
  const rate = await lab.scanRate(1_000);
  child.stdout?.resume();
  return { 'scans/s': rate, 'verdict after ms': judged };
}

async function stopped(lab: FaultLab, holdMs: number): Promise<Figures> {
  lab.agent.child.kill('SIGSTOP');
  await wait(holdMs);
  lab.agent.child.kill('SIGCONT');
  return { 'verdict after ms': await judgedAfter(lab) };
}

async function reloads(lab: FaultLab): Promise<Figures> {
  for (let reload = 0; reload < 30; reload += 1) {
    lab.agent.child.kill('SIGHUP');
    await wait(20);
  }
  return { 'verdict after ms': await judgedAfter(lab) };
}

async function judgedAfter(lab: FaultLab): Promise<number> {
  const fromMs = performance.now();
  await Promise.race([
    lab.nextJudged(),
    wait(60_000).then(() => {
      throw new Error('no window was judged within 60 s');
    }),
  ]);
  return Math.round(performance.now() - fromMs);
}

function sentAfter(lab: FaultLab): Promise<number> {
  const before = lab.lake.stored.length;
  return lab.until('the receiver gets records', () => lab.lake.stored.length > before);
}
