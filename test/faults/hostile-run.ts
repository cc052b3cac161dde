import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { modelServerPid } from '../support/crash-children.ts';
import { CompileCache, CrashPlant } from '../support/crash-plant.ts';
import { INFER, inferBody } from '../support/serving-daemon.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { HostileClients } from './hostile-clients.ts';

const SCAN_INTERVAL = '100ms';
const PAUSE_MS = 100;
const TOKEN = 'token-of-an-operator';

/** Figures of a phase. Times in milliseconds. */
export type Phase = {
  readonly answers: number;
  /** Longest time of a request of a user or health check, on a connection of its own. */
  readonly slowestMs: number;
  readonly missedScans: number;
  /** Connections of hostile clients. */
  readonly connections: number;
  /** Resident memory at the end. */
  readonly agentBytes: number;
  readonly modelServerBytes: number;
};

/**
 * Attacks both endpoints of a daemon twice, while a user and health checks send requests. What the second attack adds to the
 * memory is a leak; the first one fills the heap with garbage that V8 has not collected yet.
 *
 * @param clients Number of hostile clients.
 * @param rounds Number of requests of each kind before the attacks, and during each.
 * @throws {Error} A request failed.
 */
export async function attackTwice(clients: number, rounds: number): Promise<readonly [Phase, Phase, Phase]> {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  using cache = new CompileCache();
  folder.configure({
    ...plant.sections(SCAN_INTERVAL),
    watches: { level: { model: 'echo', tags: ['level'], window: { step: SCAN_INTERVAL, maxAge: '10s' } } },
    http: { listen: '127.0.0.1:0', token: { env: 'ANDON_TEST_TOKEN' } },
    serving: { listen: '127.0.0.1:0' },
  });
  await using agent = await AgentProcess.start(folder.configFile, { ...cache.env, ANDON_TEST_TOKEN: TOKEN });
  const urls = { agent: agent.httpUrl, models: await agent.modelServerUrl() };
  const pid = agent.child.pid ?? 0;
  const attack = async (): Promise<Phase> => {
    await using hostile = await HostileClients.start(clients, Object.values(urls));
    const figures = await phase(urls, pid, rounds);
    return { ...figures, connections: await hostile.end() };
  };
  return [await phase(urls, pid, rounds), await attack(), await attack()];
}

type Urls = { readonly agent: string; readonly models: string };

/** Sends the requests of a user and of health checks, each on a connection of its own. */
async function phase(urls: Urls, pid: number, rounds: number): Promise<Phase> {
  const { agent, models } = urls;
  const asUser = { authorization: `Bearer ${TOKEN}` };
  const missedBefore = await missed(urls);
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    times.push(await timeOf(`${agent}/healthz`));
    times.push(await timeOf(`${agent}/api/v1/alarms`, { headers: asUser }));
    times.push(await timeOf(`${models}/v2/health/live`));
    times.push(await timeOf(models + INFER, { method: 'POST', headers: asUser, body: inferBody }));
    await wait(PAUSE_MS);
  }
  return {
    answers: times.length,
    slowestMs: Math.round(Math.max(...times)),
    missedScans: (await missed(urls)) - missedBefore,
    connections: 0,
    agentBytes: residentBytes(pid),
    modelServerBytes: residentBytes(modelServerPid(pid)),
  };
}

async function timeOf(url: string, options: Parameters<typeof request>[1] = {}): Promise<number> {
  const dispatcher = new Agent();
  const fromMs = performance.now();
  const { statusCode, body } = await request(url, { ...options, dispatcher });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${url}: ${statusCode} ${text}`);
  const ms = performance.now() - fromMs;
  await dispatcher.close();
  return ms;
}

async function missed({ agent }: Urls): Promise<number> {
  const { body } = await request(`${agent}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  // The metric is there from the first missed scan.
  return Number(/^andon_modbus_missed_scans_total\{.*\} (\d+)$/m.exec(await body.text())?.[1] ?? 0);
}

/** @param pid Undefined for a process that has ended. */
function residentBytes(pid: number | undefined): number {
  return 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
