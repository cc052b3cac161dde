import { setTimeout as sleep } from 'node:timers/promises';
import type { BareRouteProtocol } from './bare-route.ts';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { joinChanges, SETTLE_MS } from './load-round.ts';
import { Peer } from './peer.ts';
import { inferBody, startServingAgent } from './serving-agent.ts';
import { percentile } from './statistics.ts';
import type { VisitorsProtocol } from './visitors-load.ts';
import { machineMs, MODEL, WATCHED_TAGS } from './workload.ts';

export const VISITORS_ID = 'visitors';

/** Of the agent's one watch: 50 windows a second. */
const SCAN_INTERVAL_MS = 20;
const AGENT = { reads: () => true };

const crowds = [
  { id: 'bounded', title: '200 requests/s', connections: 4, requestsPerSecond: 200 },
  { id: 'flatOut', title: '32 clients flat out', connections: 32, requestsPerSecond: undefined },
] as const;

/** Latencies of a watch over all turns of one kind. */
class Turns {
  readonly latenciesMs: number[] = [];
  scans = 0;
  spentMs = 0;
  requests = 0;
  refused = 0;

  p(share: number): number {
    return percentile(Float64Array.from(this.latenciesMs).sort(), share);
  }

  /** Windows of scans that were made, of which no verdict was heard. */
  get lost(): number {
    return this.scans - this.latenciesMs.length;
  }

  get heardPerSecond(): number {
    return (this.latenciesMs.length * 1000) / this.spentMs;
  }
}

/**
 * What visitors do to a watch. They ask the agent, or as many of them ask a bare route in another process, in turns: the
 * second takes the machine's cores as the first does, so that what differs is the agent's own serving.
 */
export async function visitorsFigures(
  site: BenchSite,
  times: { readonly turns: number; readonly turnMs: number; readonly warmUpMs: number },
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const agent = await startServingAgent(site, SCAN_INTERVAL_MS, stack);
  const bare = stack.use(new Peer<BareRouteProtocol>('bare-route.ts'));
  const visitors = stack.use(new Peer<VisitorsProtocol>('visitors-load.ts'));
  const limitUrl = await bare.call('listen', { modelFile: site.modelFile });
  const kinds = [
    { name: 'quiet', url: undefined, crowd: undefined },
    ...crowds.flatMap((crowd) => [
      { name: `${crowd.id} beside`, url: limitUrl, crowd },
      { name: `${crowd.id} inside`, url: agent.inferUrl(MODEL), crowd },
    ]),
  ];
  const turnsOf = new Map(kinds.map(({ name }) => [name, new Turns()]));
  say(`${VISITORS_ID}: ${times.turns} turns of each of ${kinds.length} kinds`);
  for (const { url, crowd } of kinds) await turn(url, crowd, times.warmUpMs, new Turns());
  for (let count = 0; count < times.turns; count += 1)
    for (const { name, url, crowd } of kinds) await turn(url, crowd, times.turnMs, turnsNamed(name));
  return figuresOf(turnsNamed);

  function turnsNamed(name: string): Turns {
    return turnsOf.get(name) ?? new Turns();
  }

  async function turn(
    url: string | undefined,
    crowd: (typeof crowds)[number] | undefined,
    durationMs: number,
    turns: Turns,
  ): Promise<void> {
    await site.device.call('takeChanges', undefined);
    await site.subscriber.call('takeMessages', undefined);
    const fromMs = machineMs();
    if (url === undefined || crowd === undefined) await sleep(durationMs);
    else {
      const { connections, requestsPerSecond } = crowd;
      const body = inferBody([1, 1, WATCHED_TAGS]);
      const run = await visitors.call('visit', { url, body, connections, requestsPerSecond, durationMs });
      turns.requests += run.answersPerSecond * (durationMs / 1000);
      turns.refused += run.refused;
    }
    const toMs = machineMs();
    await sleep(SETTLE_MS);
    const changes = await site.device.call('takeChanges', undefined);
    const messages = await site.subscriber.call('takeMessages', undefined);
    const { scans, latenciesMs } = joinChanges(AGENT, changes, messages, fromMs, toMs);
    turns.scans += scans;
    turns.spentMs += toMs - fromMs;
    turns.latenciesMs.push(...latenciesMs);
  }
}

function figuresOf(turnsNamed: (name: string) => Turns): readonly Figure[] {
  const quiet = turnsNamed('quiet');
  return crowds.flatMap(({ id, title }) => {
    const beside = turnsNamed(`${id} beside`);
    const inside = turnsNamed(`${id} inside`);
    const figure = (name: string, what: string, unit: string, of: (turns: Turns) => number, goal?: Goal): Figure => ({
      id: `${VISITORS_ID}.${id}.${name}`,
      title: `Watch with visitors, ${title}: ${what}`,
      unit,
      agent: of(inside),
      limit: of(beside),
      compared: goal?.kind === 'difference-at-most' ? of(inside) - of(beside) : of(inside) / of(beside),
      goal,
    });
    return [
      figure('latencyMsP50', 'register change to message, p50', 'ms', (turns) => turns.p(0.5)),
      figure('latencyMsP99', 'register change to message, p99', 'ms', (turns) => turns.p(0.99), {
        kind: 'difference-at-most',
        value: 5,
      }),
      {
        ...figure('quietMsP99', 'the same without visitors, p99', 'ms', () => quiet.p(0.99)),
        limit: undefined,
        compared: undefined,
      },
      figure('heard', 'windows judged and heard', '1/s', (turns) => turns.heardPerSecond),
      {
        ...figure('lost', 'windows lost', '', (turns) => turns.lost, { kind: 'at-most', value: 0 }),
        compared: undefined,
      },
      figure('requests', 'requests answered', '1/s', (turns) => (turns.requests * 1000) / turns.spentMs),
    ];
  });
}
