import { setTimeout as sleep } from 'node:timers/promises';
import type { BareRouteProtocol } from './bare-route.ts';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { joinChanges, SETTLE_MS } from './load-round.ts';
import { Peer } from './peer.ts';
import { inferBody, startServingAgent } from './serving-agent.ts';
import { median, percentile } from './statistics.ts';
import type { ClientsProtocol } from './clients-load.ts';
import { machineMs, MODEL, WATCHED_TAGS } from './workload.ts';

export const CLIENTS_ID = 'clients';

/** Interval of the agent's one watch: 20 windows a second, far enough apart that none waits for the commit of the one before. */
const SCAN_INTERVAL_MS = 50;
const WATCH = { reads: () => true };

/** Groups of clients. The agent reads and then refuses the requests of 60 kB that the bare route accepts. */
type Crowd = {
  readonly id: string;
  readonly title: string;
  readonly clients: number;
  readonly requestsPerSecond: number | undefined;
  readonly body: string;
  readonly agentStatus: 200 | 400;
};

const oneRow = inferBody([1, 1, WATCHED_TAGS]);
const flatOut = { clients: 32, requestsPerSecond: undefined };
const crowds: readonly Crowd[] = [
  { id: 'bounded', title: '200 requests/s', clients: 4, requestsPerSecond: 200, body: oneRow, agentStatus: 200 },
  { ...flatOut, id: 'flatOut', title: '32 flat out', body: oneRow, agentStatus: 200 },
  {
    ...flatOut,
    id: 'rows',
    title: '32 flat out, 32 rows each',
    body: inferBody([32, 1, WATCHED_TAGS]),
    agentStatus: 200,
  },
  {
    ...flatOut,
    id: 'refused',
    title: '32 flat out, 60 kB each, refused',
    body: inferBody([96, 1, WATCHED_TAGS]).replace('FP32', 'FP31'),
    agentStatus: 400,
  },
];

/** Results of the watch in one turn. */
type Turn = {
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  /** Windows of completed scans without a received verdict. */
  readonly lost: number;
  readonly windowsPerSecond: number;
  readonly answersPerSecond: number;
};

/** Clients of the agent and of the bare route, in the turns of one round. */
type Pair = { readonly inside: Turn; readonly beside: Turn };

/**
 * Measures the effect of clients on a watch. In turns, clients send requests to the agent, or as many of them to a bare route in another
 * process. Both use the cores of the machine, so the difference is caused by the agent's own serving.
 */
export async function clientsFigures(
  site: BenchSite,
  times: { readonly turns: number; readonly turnMs: number },
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const agent = await startServingAgent(site, SCAN_INTERVAL_MS, stack);
  const bare = stack.use(new Peer<BareRouteProtocol>('bare-route.ts'));
  const crowdPeer = stack.use(new Peer<ClientsProtocol>('clients-load.ts'));
  const bareUrl = await bare.call('listen', { modelFile: site.modelFile });
  const agentUrl = agent.inferUrl(MODEL);
  const quiet: Turn[] = [];
  const pairs = new Map<Crowd, Pair[]>(crowds.map((crowd) => [crowd, []]));
  for (let count = 0; count <= times.turns; count += 1) {
    say(
      `${CLIENTS_ID}: ${count === 0 ? 'warm-up' : `turn ${count} of ${times.turns}`} of each of ${crowds.length} groups`,
    );
    const alone = await turn(() => sleep(times.turnMs, 0));
    if (count > 0) quiet.push(alone);
    for (const crowd of crowds) {
      const beside = await turn(() => send(bareUrl, crowd, 200));
      const inside = await turn(() => send(agentUrl, crowd, crowd.agentStatus));
      if (count > 0) pairs.get(crowd)?.push({ inside, beside });
    }
  }
  return [quietFigure(quiet), ...crowds.flatMap((crowd) => crowdFigures(crowd, pairs.get(crowd) ?? []))];

  function send(url: string, { clients, requestsPerSecond, body }: Crowd, status: number): Promise<number> {
    const load = { url, body, client: 'raw', clients, requestsPerSecond, status, durationMs: times.turnMs } as const;
    return crowdPeer.call('send', load);
  }

  async function turn(go: () => Promise<number>): Promise<Turn> {
    await site.device.call('takeChanges', undefined);
    await site.subscriber.call('takeMessages', undefined);
    const fromMs = machineMs();
    const answersPerSecond = await go();
    const toMs = machineMs();
    await sleep(SETTLE_MS);
    const changes = await site.device.call('takeChanges', undefined);
    const messages = await site.subscriber.call('takeMessages', undefined);
    const { scans, latenciesMs } = joinChanges(WATCH, changes, messages, fromMs, toMs);
    return {
      latencyMsP50: percentile(latenciesMs, 0.5),
      latencyMsP99: percentile(latenciesMs, 0.99),
      lost: scans - latenciesMs.length,
      windowsPerSecond: (latenciesMs.length * 1000) / (toMs - fromMs),
      answersPerSecond,
    };
  }
}

function quietFigure(turns: readonly Turn[]): Figure {
  return {
    id: `${CLIENTS_ID}.quiet.latencyMsP99`,
    title: 'A watch without clients: register change to message, p99',
    unit: 'ms',
    agent: median(turns.map(({ latencyMsP99 }) => latencyMsP99)),
    limit: undefined,
    compared: undefined,
    goal: undefined,
  };
}

function crowdFigures({ id, title }: Crowd, pairs: readonly Pair[]): readonly Figure[] {
  const figure = (name: keyof Turn, what: string, unit: string, goal?: Goal): Figure => ({
    id: `${CLIENTS_ID}.${id}.${name}`,
    title: `Clients, ${title}: ${what}`,
    unit,
    agent: median(pairs.map(({ inside }) => inside[name])),
    limit: median(pairs.map(({ beside }) => beside[name])),
    compared: median(
      pairs.map(({ inside, beside }) =>
        goal?.kind === 'difference-at-most' ? inside[name] - beside[name] : inside[name] / beside[name],
      ),
    ),
    goal,
  });
  const lost = (of: (pair: Pair) => Turn) => pairs.reduce((sum, pair) => sum + of(pair).lost, 0);
  const lostInside = lost(({ inside }) => inside);
  const lostBeside = lost(({ beside }) => beside);
  return [
    figure('latencyMsP50', 'change to message, p50', 'ms', { kind: 'difference-at-most', value: 5 }),
    figure('latencyMsP99', 'change to message, p99', 'ms', { kind: 'difference-at-most', value: 5 }),
    figure('windowsPerSecond', 'windows judged', '1/s'),
    {
      ...figure('lost', 'windows lost in all turns', '', { kind: 'difference-at-most', value: 0 }),
      agent: lostInside,
      limit: lostBeside,
      compared: lostInside - lostBeside,
    },
    figure('answersPerSecond', 'requests answered', '1/s'),
  ];
}
