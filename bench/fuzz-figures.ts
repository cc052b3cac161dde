import { fuzzBounds, fuzzV2 } from '../test/support/v2-fuzz.ts';
import type { Figure, Goal } from './figure.ts';

export const FUZZ_ID = 'fuzz';

const SEED = 1;
const MIB = 1_048_576;

/** Effects of hostile requests to `/v2` on the process that answers them; `npm run fuzz` sends a million. */
export async function fuzzFigures(requests: number, say: (text: string) => void): Promise<readonly Figure[]> {
  say(`${FUZZ_ID}: ${requests.toLocaleString('en')} hostile requests to /v2, seed ${SEED}`);
  const report = await fuzzV2({ seed: SEED, requests, warmUp: Math.min(50_000, requests) });
  for (const fault of report.faults) say(fault);
  return [
    figure('faults', 'without an answer, or with a 5xx without a reason', '', report.faults.length, 0),
    figure('loopDelayMsP99', 'delay of the main loop, p99', 'ms', report.loopDelayMsP99, fuzzBounds.loopDelayMsP99),
    figure(
      'residentBytesGrowth',
      'growth of RSS',
      'MiB',
      report.residentBytesGrowth / MIB,
      fuzzBounds.residentBytesGrowth / MIB,
    ),
    figure('rate', 'answered', 'requests/s', report.requestsPerSecond),
  ];
}

function figure(name: string, title: string, unit: string, agent: number, atMost?: number): Figure {
  const goal: Goal | undefined = atMost === undefined ? undefined : { kind: 'at-most', value: atMost };
  return {
    id: `${FUZZ_ID}.${name}`,
    title: `Hostile requests: ${title}`,
    unit,
    agent,
    limit: undefined,
    compared: undefined,
    goal,
  };
}
