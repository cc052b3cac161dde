import type { BenchSite } from './bench-site.ts';
import type { Figure } from './figure.ts';
import type { FleetProtocol, FleetRun } from './fleet.ts';
import { FLEET_DEVICES, FLEET_TAGS_PER_DEVICE } from './fleet-load.ts';
import { Peer } from './peer.ts';
import { median } from './statistics.ts';

export const FLEET_ID = 'fleet';

type Pair = { readonly agent: FleetRun; readonly limit: FleetRun };

/** Figures of scanning many devices in one process, for the sources of the agent and for modbus-serial. */
export async function fleetFigures(
  site: BenchSite,
  times: { readonly rounds: number; readonly measureMs: number },
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  const pairs: Pair[] = [];
  for (let round = 1; round <= times.rounds; round += 1) {
    say(`${FLEET_ID}: 10,000 tags of ${FLEET_DEVICES} devices, round ${round} of ${times.rounds}`);
    pairs.push({ agent: await measured(site, 'agent', times), limit: await measured(site, 'limit', times) });
  }
  return [
    figure('kept', 'scans that were due and made', '%', 100),
    figure('jitterMsP99', 'scan to scan, off the interval, p99', 'ms'),
    figure('cpu', 'CPU', '% of a core', 100),
    figure('residentBytes', 'RSS', 'MB', 1e-6),
    {
      ...figure('requestsPerScan', 'requests of a scan, against one read a tag', ''),
      limit: FLEET_DEVICES * FLEET_TAGS_PER_DEVICE,
      compared: median(pairs.map(({ agent }) => agent.requestsPerScan)) / (FLEET_DEVICES * FLEET_TAGS_PER_DEVICE),
    },
  ];

  function figure(name: keyof FleetRun, title: string, unit: string, scale = 1): Figure {
    return {
      id: `${FLEET_ID}.${name}`,
      title: `10,000 tags ${title}`,
      unit,
      agent: median(pairs.map(({ agent }) => agent[name] * scale)),
      limit: median(pairs.map(({ limit }) => limit[name] * scale)),
      compared: median(pairs.map(({ agent, limit }) => agent[name] / limit[name])),
      goal: undefined,
    };
  }
}

async function measured(
  { devicePorts }: BenchSite,
  subject: 'agent' | 'limit',
  { measureMs }: { readonly measureMs: number },
): Promise<FleetRun> {
  await using peer = new Peer<FleetProtocol>('fleet.ts');
  return await peer.call('measure', { subject, devicePorts, measureMs });
}
