import type { Clock } from '../../../platform/clock.ts';
import { errorMessage } from '../../../platform/errors.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';
import type { ProbeConnection } from './probe-connection.ts';

const SIZES = [1, 2, 4, 8, 16] as const;
/** Groups of each size: enough to notice a device that drops requests occasionally. */
const GROUPS = 25;
/** A smaller group with this share of the highest rate is preferred: what else the device does needs its time, too. */
const RATE_SHARE = 0.9;

/** Result of one group size. */
export type InFlightTrial = {
  readonly inFlight: number;
  readonly requestsPerSecond: number;
  /** Why a group was not answered completely; undefined if all were. */
  readonly failure?: string;
};

/**
 * Sends the same read in groups of growing size, until the device does not answer one completely.
 *
 * @param onTrial Called after each size.
 * @returns Largest number that is worth it and was always answered; undefined if a single request was not.
 */
export async function tryInFlight(
  connection: ProbeConnection,
  request: ReadRequest,
  clock: Clock,
  onTrial: (trial: InFlightTrial) => void,
): Promise<number | undefined> {
  const good: InFlightTrial[] = [];
  for (const inFlight of SIZES) {
    // oxlint-disable-next-line no-await-in-loop -- one size after the other
    const trial = await tryOne(connection, request, clock, inFlight);
    onTrial(trial);
    if (trial.failure !== undefined) break;
    good.push(trial);
  }
  const highest = Math.max(...good.map(({ requestsPerSecond }) => requestsPerSecond));
  return good.find(({ requestsPerSecond }) => requestsPerSecond >= RATE_SHARE * highest)?.inFlight;
}

async function tryOne(
  connection: ProbeConnection,
  request: ReadRequest,
  clock: Clock,
  inFlight: number,
): Promise<InFlightTrial> {
  const fromMs = clock.monotonicMs();
  let groups = 0;
  const rate = (): number => Math.round((groups * inFlight * 1000) / Math.max(clock.monotonicMs() - fromMs, 1));
  try {
    for (; groups < GROUPS; groups += 1)
      // oxlint-disable-next-line no-await-in-loop -- one group after the other
      await connection.readTogether(Array.from({ length: inFlight }, () => request));
    return { inFlight, requestsPerSecond: rate() };
  } catch (error) {
    return { inFlight, requestsPerSecond: rate(), failure: errorMessage(error) };
  }
}
