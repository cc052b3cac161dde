/** Reads of one scan, each as long as a Modbus answer may be: 1,000 holding registers. */
export const READS = 8;
export const REGISTERS_PER_READ = 125;
/** A float32 is two registers and is never split over two reads, so one register of each read holds a uint16. */
export const FLOATS_PER_READ = 62;
export const TAGS_PER_READ = FLOATS_PER_READ + 1;
export const TAGS = READS * TAGS_PER_READ;
/** Tags of a device that the model sees: the first floats of the first read. */
export const WATCHED_TAGS = 32;

/** First part of the topics and of the agent's records. */
export const AGENT_ID = 'bench';
export const MODEL = 'bench-autoencoder';

export type LoadId = 'w1' | 'w2' | 'w3';

/** What both the agent and the minimal script are put to. */
export type Load = {
  readonly id: LoadId;
  readonly title: string;
  /** Modbus devices, each with a port, a connection, and a unit id, which count from 1. */
  readonly devices: number;
  /** 0 begins the next scan when the last is through. */
  readonly scanIntervalMs: number;
  /**
   * Whether agent and script run side by side, each with devices of its own. Then every second is the same for both, and
   * there is time to warm up: code that runs ten times a second needs a minute until V8 has compiled what is hot.
   * Not for loads that would take each other's core.
   */
  readonly sideBySide: boolean;
};

/** As many as the largest load has. */
export const DEVICES_MAX = 64;

/** Unit ids of the script's devices are those of the agent plus this. */
export const SCRIPT_UNITS_FROM = 100;

export const loads: readonly Load[] = [
  { id: 'w1', title: 'one device, 1,000 registers every 100 ms', devices: 1, scanIntervalMs: 100, sideBySide: true },
  {
    id: 'w2',
    title: '64 devices, 1,000 registers each, every 100 ms',
    devices: 64,
    scanIntervalMs: 100,
    sideBySide: false,
  },
  { id: 'w3', title: 'one device, 1,000 registers, without a pause', devices: 1, scanIntervalMs: 0, sideBySide: false },
];

/** The watch of a device, which is the last level of its topic too. */
export function watchOf(unitId: number): string {
  return `machine-${unitId}`;
}

export function unitOf(watch: string): number {
  return Number(watch.slice('machine-'.length));
}

/** Where verdicts are published. */
export function verdictTopic(watch: string): string {
  return `andon/v1/${AGENT_ID}/verdict/${watch}`;
}

/** Milliseconds on the machine's monotonic clock, the same in every process. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
