import type { OutputDemand } from './output-demand.ts';

/*
 * When an output is written, as pure functions. Times are monotonic milliseconds. The driver stores what it did, and
 * `nextWrite` derives the next write from that.
 */

/** A coil is 0 or 1, a register 0 to 65535; a message is a text. */
export type OutputValue = number | string;

export type OutputRules = {
  readonly values: { readonly on: OutputValue; readonly off: OutputValue };
  readonly safe: OutputValue;
  /** Time of each half while the output is on; undefined for steady. */
  readonly blinkMs: number | undefined;
  /** Time between two counts of a heartbeat; undefined for other outputs. */
  readonly heartbeatMs: number | undefined;
  /** Time after which the same value is written again; Infinity for never. */
  readonly refreshMs: number;
  /** Shortest time between two changes. The safe value is not delayed. */
  readonly rateLimitMs: number;
};

export type OutputMemory = {
  readonly show: OutputDemand['show'];
  /** Begin of the demand. A blinking output is on first. */
  readonly sinceMs: number;
  /** Last write that the device accepted; undefined if its value is not known. */
  readonly written: { readonly value: OutputValue; readonly atMs: number } | undefined;
  /** Time of the last accepted change, for the rate limit. Attempts after a failure have waits of their own. */
  readonly changedMs: number;
  /** Earliest time of the next attempt after a failure. */
  readonly retryMs: number;
};

/** A heartbeat counts from 1 to this, so that it also fits a signed register. 0 is free for 'safe'. */
export const HEARTBEAT_MAX = 32_767;

/** Memory of an output at the start: nothing is written, and nothing is known. */
export function newOutput(nowMs: number): OutputMemory {
  return { show: 'safe', sinceMs: nowMs, written: undefined, changedMs: -Infinity, retryMs: -Infinity };
}

/** Applies a demand. The same demand again changes nothing. */
export function demanded(memory: OutputMemory, show: OutputDemand['show'], nowMs: number): OutputMemory {
  return memory.show === show ? memory : { ...memory, show, sinceMs: nowMs };
}

/** Applies a write that the device accepted. */
export function accepted(memory: OutputMemory, value: OutputValue, nowMs: number): OutputMemory {
  const changedMs = memory.written?.value === value ? memory.changedMs : nowMs;
  return { ...memory, written: { value, atMs: nowMs }, changedMs, retryMs: -Infinity };
}

/** Applies a write that failed: the value of the device is not known until the next one. */
export function failed(memory: OutputMemory, retryMs: number): OutputMemory {
  return { ...memory, written: undefined, retryMs };
}

/** Returns the value that the device must have at a time. */
export function valueAt(rules: OutputRules, { show, sinceMs }: OutputMemory, nowMs: number): OutputValue {
  switch (show) {
    case 'safe':
      return rules.safe;
    case 'off':
      return rules.values.off;
    case 'on': {
      if (rules.heartbeatMs !== undefined) return heartbeat(Math.floor((nowMs - sinceMs) / rules.heartbeatMs), rules);
      if (rules.blinkMs === undefined) return rules.values.on;
      return Math.floor((nowMs - sinceMs) / rules.blinkMs) % 2 === 0 ? rules.values.on : rules.values.off;
    }
  }
}

/**
 * Returns the time of the next write, which may be now or earlier. At that time, `valueAt` gives the value.
 */
export function nextWriteMs(rules: OutputRules, memory: OutputMemory, nowMs: number): number {
  const { written, changedMs, retryMs, show } = memory;
  if (written === undefined || written.value !== valueAt(rules, memory, nowMs)) {
    const limitMs = show === 'safe' ? -Infinity : changedMs + rules.rateLimitMs;
    return Math.max(nowMs, retryMs, limitMs);
  }
  return Math.max(retryMs, Math.min(written.atMs + rules.refreshMs, nextEdgeMs(rules, memory, nowMs)));
}

/** Returns the time of the next change without a new demand; Infinity if there is none. */
function nextEdgeMs({ blinkMs, heartbeatMs }: OutputRules, { show, sinceMs }: OutputMemory, nowMs: number): number {
  const periodMs = heartbeatMs ?? blinkMs;
  if (show !== 'on' || periodMs === undefined) return Infinity;
  return sinceMs + (Math.floor((nowMs - sinceMs) / periodMs) + 1) * periodMs;
}

function heartbeat(count: number, { values }: OutputRules): OutputValue {
  const value = 1 + (count % HEARTBEAT_MAX);
  return typeof values.on === 'number' ? value : String(value);
}
