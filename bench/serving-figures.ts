import type { BareRouteProtocol } from './bare-route.ts';
import type { BatchCostProtocol } from './batch-cost.ts';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import { Peer } from './peer.ts';
import { inferBody, startServingAgent } from './serving-agent.ts';
import { median } from './statistics.ts';
import type { ClientsLoad, ClientsProtocol } from './clients-load.ts';
import { WIDE_COLUMNS, WIDE_MODEL, WIDE_MODEL_ALONE } from './wide-model.ts';
import { MODEL, WATCHED_TAGS } from './workload.ts';

export const SERVING_ID = 'serving';

const CLIENTS = 32;
/** An additional watch of the agent; another part measures it. */
const SCAN_INTERVAL_MS = 1000;
/** Short, so that other load of the machine affects both sides of the comparison. */
const TURN_MS = 100;
const WARM_UP_PAIRS = 20;

/** One turn of each side, in requests per second. */
type Pair = { readonly agent: number; readonly limit: number };
type Target = { readonly url: string; readonly body: string };
type Crowd = Pick<ClientsLoad, 'client' | 'clients'>;

/** Compares the agent's endpoint with a bare route with the same session, and with itself without batches. */
export async function servingFigures(
  site: BenchSite,
  { pairs }: { readonly pairs: number },
  say: (text: string) => void,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const agent = await startServingAgent(site, SCAN_INTERVAL_MS, stack);
  const bare = stack.use(new Peer<BareRouteProtocol>('bare-route.ts'));
  const clients = stack.use(new Peer<ClientsProtocol>('clients-load.ts'));
  const small = inferBody([1, 1, WATCHED_TAGS]);
  const wide = inferBody([1, WIDE_COLUMNS]);
  const served = { url: agent.inferUrl(MODEL), body: small };
  const limit = { url: await bare.call('listen', { modelFile: site.modelFile }), body: small };
  const batched = { url: agent.inferUrl(WIDE_MODEL), body: wide };
  const alone = { url: agent.inferUrl(WIDE_MODEL_ALONE), body: wide };
  const one = { client: 'node', clients: 1 } as const;
  const oneRaw = { client: 'raw', clients: 1 } as const;
  const many = { client: 'raw', clients: CLIENTS } as const;
  return [
    figure('one', 'one client, small model, compared with a bare route', await turns(served, limit, one), atLeast(0.6)),
    figure('oneRaw', 'the same with a client on a raw socket', await turns(served, limit, oneRaw)),
    figure('many', `${CLIENTS} on raw sockets`, await turns(served, limit, many)),
    figure('batched', `${CLIENTS}, wide model, against maxBatch 1`, await turns(batched, alone, many), atLeast(3)),
    await batchCost(site),
  ];

  async function turns(agentTarget: Target, limitTarget: Target, crowd: Crowd): Promise<readonly Pair[]> {
    say(`${SERVING_ID}: ${crowd.clients} ${crowd.client} at ${agentTarget.url}, ${pairs} pairs of turns`);
    const measured: Pair[] = [];
    for (let pair = -WARM_UP_PAIRS; pair < pairs; pair += 1) {
      const rates = { agent: await rate(agentTarget, crowd), limit: await rate(limitTarget, crowd) };
      if (pair >= 0) measured.push(rates);
    }
    return measured;
  }

  function rate(target: Target, crowd: Crowd): Promise<number> {
    return clients.call('send', {
      ...target,
      ...crowd,
      requestsPerSecond: undefined,
      status: 200,
      durationMs: TURN_MS,
    });
  }
}

function figure(name: string, title: string, pairs: readonly Pair[], goal?: Goal): Figure {
  return {
    id: `${SERVING_ID}.${name}`,
    title: `Inference over HTTP, ${title}`,
    unit: 'requests/s',
    agent: median(pairs.map(({ agent }) => agent)),
    limit: median(pairs.map(({ limit }) => limit)),
    compared: median(pairs.map(({ agent, limit }) => agent / limit)),
    goal,
  };
}

function atLeast(value: number): Goal {
  return { kind: 'ratio-at-least', value };
}

/** The figure for batches means something only if the runtime itself gains by them. */
async function batchCost({ wideModelFile }: BenchSite): Promise<Figure> {
  await using peer = new Peer<BatchCostProtocol>('batch-cost.ts');
  return {
    id: `${SERVING_ID}.batchCost`,
    title: `Batch of ${CLIENTS} of the wide model, onnxruntime-node alone`,
    unit: 'single runs',
    agent: await peer.call('measure', { modelFile: wideModelFile, rows: CLIENTS }),
    limit: undefined,
    compared: undefined,
    goal: { kind: 'at-most', value: 8 },
  };
}
