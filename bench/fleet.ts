import { tmpdir } from 'node:os';
import ModbusRTU from 'modbus-serial';
import { modbusSourceSchema } from '../src/sources/modbus/plan/modbus-config.ts';
import { ModbusSource } from '../src/sources/modbus/modbus-source.ts';
import { planScanClasses } from '../src/sources/modbus/plan/scan-plan.ts';
import { FLEET_DEVICES, FLEET_SCAN_INTERVAL_MS, FLEET_TAGS_PER_DEVICE } from './fleet-load.ts';
import { benchDeps } from './part-rate.ts';
import { servePeer } from './peer.ts';
import { percentile } from './statistics.ts';
import { machineMs } from './workload.ts';

/*
 * The devices of a plant in one process: the Modbus sources of the agent, or the same reads with modbus-serial. Each runs in a
 * process of its own, which measures itself.
 */

/** Tags as in a typical device: ten adjacent ones, half of them float32, then five other registers. */
const TAGS_PER_GROUP = 10;
const FLOATS_PER_GROUP = 5;
const GROUP_STRIDE = 20;

export type FleetOptions = {
  readonly devicePorts: readonly number[];
  /** Duration of the measurement; the warm-up before it is as long. */
  readonly measureMs: number;
};

export type FleetRun = {
  /** Share of the scans that were due. */
  readonly kept: number;
  /** Difference between the interval and the time from the end of one scan to the end of the next. */
  readonly jitterMsP99: number;
  /** Share of one core. */
  readonly cpu: number;
  readonly residentBytes: number;
  /** Sum over all devices. */
  readonly requestsPerScan: number;
};

export type FleetProtocol = {
  readonly measure: {
    readonly params: FleetOptions & { readonly subject: 'agent' | 'limit' };
    readonly result: FleetRun;
  };
};

servePeer<FleetProtocol>({
  measure: async ({ subject, ...options }) => {
    await using stack = new AsyncDisposableStack();
    const scans = new ScanTimes();
    const requests = subject === 'agent' ? startAgent(options, scans, stack) : await startLimit(options, scans, stack);
    return await measured(scans, requests, options.measureMs);
  },
});

/** Time at which the last scan of each device ended, and its results during the measurement. */
class ScanTimes {
  scans = 0;
  readonly differencesMs: number[] = [];
  readonly #lastMs = new Map<number, number>();

  ended(device: number): void {
    const nowMs = machineMs();
    const lastMs = this.#lastMs.get(device);
    this.#lastMs.set(device, nowMs);
    this.scans += 1;
    if (lastMs !== undefined) this.differencesMs.push(Math.abs(nowMs - lastMs - FLEET_SCAN_INTERVAL_MS));
  }

  clear(): void {
    this.scans = 0;
    this.differencesMs.length = 0;
  }
}

/** @returns Number of requests sent so far. */
type Requests = () => number | Promise<number>;

async function measured(scans: ScanTimes, requests: Requests, measureMs: number): Promise<FleetRun> {
  await pause(measureMs);
  scans.clear();
  const requestsBefore = await requests();
  const [fromMs, fromCpu] = [machineMs(), process.cpuUsage()];
  await pause(measureMs);
  const spentMs = machineMs() - fromMs;
  const { user, system } = process.cpuUsage(fromCpu);
  const due = (spentMs / FLEET_SCAN_INTERVAL_MS) * FLEET_DEVICES;
  const sent = (await requests()) - requestsBefore;
  return {
    kept: Math.min(1, scans.scans / due),
    jitterMsP99: percentile(Float64Array.from(scans.differencesMs).toSorted(), 0.99),
    cpu: (user + system) / 1000 / spentMs,
    residentBytes: process.memoryUsage.rss(),
    requestsPerScan: (sent / scans.scans) * FLEET_DEVICES,
  };
}

function startAgent({ devicePorts }: FleetOptions, scans: ScanTimes, stack: AsyncDisposableStack): Requests {
  const deps = benchDeps();
  for (let device = 0; device < FLEET_DEVICES; device += 1) {
    const config = sourceConfig(device, devicePorts);
    const source = stack.use(
      new ModbusSource({
        id: `device-${device}`,
        config,
        tagNumbers: new Map(Object.keys(config.tags).map((name, number) => [name, number])),
        bindTag: () => 'too-many',
        stateFolder: tmpdir(),
        sink: {
          accept: (batch) => {
            // A failed scan does not count.
            if (batch.length === FLEET_TAGS_PER_DEVICE && batch.qualities[0] === 0) scans.ended(device);
          },
        },
        history: { add: () => undefined, stored: () => Promise.resolve() },
        deps,
      }),
    );
    source.start();
  }
  return async () => {
    const lines = (await deps.metrics.text()).matchAll(/^andon_modbus_requests_total\{.*\} (\d+)$/gm);
    return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
  };
}

/** Makes the joined reads of the agent at the same times; decodes nothing and ends with the first error. */
async function startLimit(
  { devicePorts }: FleetOptions,
  scans: ScanTimes,
  stack: AsyncDisposableStack,
): Promise<Requests> {
  let sent = 0;
  const stop = { stopped: false };
  stack.defer(() => void (stop.stopped = true));
  const blocks = planScanClasses(sourceConfig(0, devicePorts)).flatMap((planned) => planned.blocks);
  for (let device = 0; device < FLEET_DEVICES; device += 1) {
    const modbus = new ModbusRTU.default();
    await modbus.connectTCP('127.0.0.1', { port: devicePorts[device] ?? 0 });
    modbus.setTimeout(1000);
    void scanForEver(modbus, device);
  }
  return () => sent;

  async function scanForEver(modbus: ModbusRTU.default, device: number): Promise<void> {
    for (let dueMs = nextDueMs(); !stop.stopped; dueMs = nextDueMs()) {
      await pause(dueMs - machineMs());
      for (const { address, count } of blocks) {
        sent += 1;
        await modbus.readHoldingRegisters(address, count);
      }
      scans.ended(device);
    }
    modbus.close(() => undefined);
  }
}

/** Scans are due at multiples of the interval, as in the agent. */
function nextDueMs(): number {
  return (Math.floor(machineMs() / FLEET_SCAN_INTERVAL_MS) + 1) * FLEET_SCAN_INTERVAL_MS;
}

function sourceConfig(device: number, devicePorts: readonly number[]) {
  return modbusSourceSchema.parse({
    type: 'modbus',
    url: `tcp://127.0.0.1:${devicePorts[device]}`,
    scanInterval: `${FLEET_SCAN_INTERVAL_MS}ms`,
    tags: Object.fromEntries(
      Array.from({ length: FLEET_TAGS_PER_DEVICE }, (_, index) => {
        const place = index % TAGS_PER_GROUP;
        const isFloat = place < FLOATS_PER_GROUP;
        const offset = isFloat ? place * 2 : FLOATS_PER_GROUP + place;
        const address = Math.floor(index / TAGS_PER_GROUP) * GROUP_STRIDE + offset;
        return [`d${device}.t${index}`, { register: 'holding', address, type: isFloat ? 'float32' : 'int16' }];
      }),
    ),
  });
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, delayMs)));
}
