/** Reads of one scan, each of the longest possible Modbus response: 1,000 holding registers in total. */
export const READS = 8;
export const REGISTERS_PER_READ = 125;
/** A float32 is two registers and is never split over two reads, so one register of each read holds a uint16. */
export const FLOATS_PER_READ = 62;
export const TAGS_PER_READ = FLOATS_PER_READ + 1;
export const TAGS = READS * TAGS_PER_READ;
/** Tags of a device that are inputs of the model: the first floats of the first read. */
export const WATCHED_TAGS = 32;

/** First part of the topics and of the record ids of the agent. */
export const AGENT_ID = 'bench';
export const MODEL = 'bench-autoencoder';

/** Id of the other build of `--compare`. */
export const BASE_AGENT_ID = 'bench-base';

export type LoadId = 'w1' | 'w2' | 'w2-8' | 'w3' | 'w3-8';

/** A load for both the agent and the minimal script. */
export type Load = {
  readonly id: LoadId;
  readonly title: string;
  /** Number of Modbus devices, each with a port, a connection, and a unit id; unit ids count from 1. */
  readonly devices: number;
  /** 0 begins the next scan when the last one has ended. */
  readonly scanIntervalMs: number;
  /** Modbus requests in flight of the agent; the minimal script has one. */
  readonly requestsInFlight?: number;
  /**
   * True if agent and script run at the same time, each with its own devices. Then other load affects both in the same second, and
   * there is time to warm up: code that runs ten times a second needs a minute until V8 has compiled its hot parts.
   * Not for loads that would compete for the cores.
   */
  readonly sideBySide: boolean;
};

/** Number of devices of the largest load. */
export const DEVICES_MAX = 64;

/** Added to the unit ids of the agent's devices, it gives those of the script's or the other build's devices. */
export const LIMIT_UNITS_FROM = 100;

const fleet = { devices: 64, scanIntervalMs: 100, sideBySide: false } as const;
const unpaced = { devices: 1, scanIntervalMs: 0, sideBySide: false } as const;

export const loads: readonly Load[] = [
  { id: 'w1', title: 'one device, 1,000 registers every 100 ms', devices: 1, scanIntervalMs: 100, sideBySide: true },
  { id: 'w2', title: '64 devices, 1,000 registers each, every 100 ms', ...fleet },
  { id: 'w2-8', title: 'the same, 8 requests of the agent in flight', ...fleet, requestsInFlight: READS },
  { id: 'w3', title: 'one device, 1,000 registers, without a pause', ...unpaced },
  { id: 'w3-8', title: 'the same, 8 requests of the agent in flight', ...unpaced, requestsInFlight: READS },
];

/** Returns the watch of a device, which is also the last level of its topic. */
export function watchOf(unitId: number): string {
  return `machine-${unitId}`;
}

export function unitOf(watch: string): number {
  return Number(watch.slice('machine-'.length));
}

/** Returns the topic of the verdicts. */
export function verdictTopic(watch: string, agentId = AGENT_ID): string {
  return `andon/v1/${agentId}/verdict/${watch}`;
}

/** Milliseconds on the monotonic clock of the machine, the same in every process. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
