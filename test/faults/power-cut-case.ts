import { setTimeout as wait } from 'node:timers/promises';
import { FaultLab } from './fault-lab.ts';
import { type Received, type PowerCuts, replayPowerCuts } from './power-cut.ts';

const POLL_MS = 2;

/** Records every write of the daemon for a time, kills it, and replays power cuts. */
export async function powerCuts(options: {
  readonly recordMs: number;
  readonly cuts: number;
  readonly seed: number;
}): Promise<PowerCuts> {
  await using lab = await FaultLab.start({ logs: true });
  const received = new Map<string, Received>();
  const untilMs = performance.now() + options.recordMs;
  while (performance.now() < untilMs) {
    // Later than the moment of arrival: a record counts only for cuts after it was certainly received.
    const atNs = process.hrtime.bigint();
    for (const { id } of lab.received()) if (!received.has(id)) received.set(id, { id, atNs });
    await wait(POLL_MS);
  }
  await lab.agent.end('SIGKILL');
  return await replayPowerCuts(lab.shim.log, `${lab.folder.path}/`, [...received.values()], options.cuts, options.seed);
}
