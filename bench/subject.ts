import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AgentFolder } from '../test/support/start-agent.ts';
import type { BenchSite } from './bench-site.ts';
import type { MinimalScriptOptions } from './minimal-script.ts';
import {
  AGENT_ID,
  BASE_AGENT_ID,
  FLOATS_PER_READ,
  type Load,
  MODEL,
  READS,
  REGISTERS_PER_READ,
  LIMIT_UNITS_FROM,
  TAGS_PER_READ,
  WATCHED_TAGS,
  watchOf,
} from './workload.ts';

/** A process that is measured, together with its child processes. */
export type Subject = AsyncDisposable & {
  readonly pid: number;
  /** Returns true for a device of this subject. */
  readonly reads: (unitId: number) => boolean;
  readonly running: () => boolean;
};

/** Starts the agent as its service does, with all features on: records on disk, quality, history, alarms. */
export function startAgent(site: BenchSite, load: Load): Subject {
  return spawnAgent(site.agentProgram, agentSections(site, load), (unitId) => unitId <= LIMIT_UNITS_FROM);
}

/** Starts the limit: the minimal script, or with `--compare` the agent of the other build. */
export function startLimit(site: BenchSite, load: Load): Subject {
  if (site.baseProgram === undefined) return startMinimalScript(site, load);
  const sections = { ...agentSections(site, load, LIMIT_UNITS_FROM), agent: { id: BASE_AGENT_ID } };
  return spawnAgent(site.baseProgram, sections, (unitId) => unitId > LIMIT_UNITS_FROM);
}

function spawnAgent(program: string, sections: Readonly<Record<string, unknown>>, reads: Subject['reads']): Subject {
  const folder = new AgentFolder();
  folder.configure(sections);
  const child = spawn(process.execPath, [program, 'run', '-c', folder.configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return {
    pid: child.pid ?? 0,
    reads,
    running: () => isRunning(child),
    async [Symbol.asyncDispose]() {
      await end(child);
      folder[Symbol.dispose]();
    },
  };
}

/** Starts the bare loop with the same libraries. */
function startMinimalScript(site: BenchSite, load: Load): Subject {
  const options: MinimalScriptOptions = {
    devicePorts: site.devicePorts,
    brokerUrl: site.brokerUrl,
    modelFile: site.modelFile,
    firstUnitId: LIMIT_UNITS_FROM + 1,
    devices: load.devices,
    scanIntervalMs: load.scanIntervalMs,
  };
  const script = fileURLToPath(new URL('minimal-script.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit'] });
  return {
    pid: child.pid ?? 0,
    reads: (unitId) => unitId > LIMIT_UNITS_FROM,
    running: () => isRunning(child),
    [Symbol.asyncDispose]: () => end(child),
  };
}

/**
 * Returns the configuration of the agent for a load; `agent` and `http` are the defaults of the folder, except the id.
 *
 * @param unitsFrom Added to the unit ids of the devices.
 */
export function agentSections(
  site: Pick<BenchSite, 'devicePorts' | 'brokerUrl' | 'modelDirectory'>,
  load: Pick<Load, 'devices' | 'scanIntervalMs' | 'requestsInFlight'>,
  unitsFrom = 0,
) {
  const units = Array.from({ length: load.devices }, (_, index) => unitsFrom + index + 1);
  return {
    agent: { id: AGENT_ID },
    sources: Object.fromEntries(
      units.map((unitId) => [
        `device-${unitId}`,
        {
          type: 'modbus',
          url: `tcp://127.0.0.1:${site.devicePorts[unitId - unitsFrom - 1]}`,
          unitId,
          scanInterval: `${load.scanIntervalMs}ms`,
          requestsInFlight: load.requestsInFlight ?? 1,
          tags: deviceTags(unitId),
        },
      ]),
    ),
    models: { directory: site.modelDirectory },
    watches: Object.fromEntries(
      units.map((unitId) => [
        watchOf(unitId),
        {
          model: MODEL,
          tags: Object.keys(deviceTags(unitId)).slice(0, WATCHED_TAGS),
          window: { step: 'scan' },
          alarm: { onDelay: '1s', offDelay: '1s', priority: 'high' },
        },
      ]),
    ),
    publish: { type: 'mqtt', url: site.brokerUrl },
  };
}

/** Returns the tags of a device by name, in the order of their registers; watched tags have the range of the quality gate. */
export function deviceTags(unitId: number) {
  return Object.fromEntries(
    Array.from({ length: READS * TAGS_PER_READ }, (_, index) => {
      const place = index % TAGS_PER_READ;
      const address = Math.floor(index / TAGS_PER_READ) * REGISTERS_PER_READ + place * 2;
      const type = place < FLOATS_PER_READ ? 'float32' : 'uint16';
      const judged = index < WATCHED_TAGS ? { unit: 'bar', range: [-1, 1e9] } : {};
      return [`m${unitId}.t${index}`, { register: 'holding', address, type, ...judged }];
    }),
  );
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function end(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
