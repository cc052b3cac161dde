import type { DataValue } from 'node-opcua-client';
import {
  BAD,
  GOOD,
  type QualityCode,
  type QualityReason,
  reasonCode,
  UNCERTAIN,
} from '../../../domain/sample/quality.ts';
import { type ValueMap, valueMapOf } from '../../text-value.ts';
import type { OpcuaJob, OpcuaValues } from '../opcua-protocol.ts';
import { parseValuePath, type PathStep } from '../value-path.ts';
import { type VariantNumber, variantNumber } from './variant-number.ts';

/** Earlier times come from a device with an unset clock, or are the null of OPC UA. 2000-01-01. */
const EARLIEST_MS = 946_684_800_000;

type Read = {
  readonly path: readonly PathStep[] | undefined;
  readonly scale: number;
  readonly offset: number;
  readonly map: ValueMap | undefined;
};

/** Turns the values of items into samples, until they are taken. */
export class ValueCollector {
  readonly #items: OpcuaJob['items'];
  readonly #time: OpcuaJob['time'];
  readonly #reads: readonly Read[];
  #rows: { read: number; value: number; timeMs: number; quality: QualityCode; reason: QualityReason }[] = [];
  #faults: [read: number, text: string][] = [];
  #overflows = 0;

  constructor({ items, reads, time }: OpcuaJob) {
    this.#items = items;
    this.#time = time;
    this.#reads = reads.map(({ path, scale, offset, map }) => ({
      path: path === undefined ? undefined : parseValuePath(path),
      scale,
      offset,
      map: valueMapOf(map),
    }));
  }

  add(item: number, dataValue: DataValue): void {
    const { statusCode } = dataValue;
    if (statusCode.hasOverflowBit) this.#overflows += 1;
    const timeMs = this.#timeOf(dataValue);
    const marked = qualityOfStatus(statusCode.value);
    for (const read of this.#items[item]?.reads ?? []) {
      const sample = sampleOf(dataValue, this.#reads[read], marked);
      this.#rows.push({ read, timeMs, ...sample });
      if (sample.fault !== undefined) this.#faults.push([read, sample.fault]);
    }
  }

  /** Returns the samples since the last call; undefined if there are none. */
  take(): OpcuaValues | undefined {
    const rows = this.#rows;
    if (rows.length === 0) return undefined;
    const values: OpcuaValues = {
      reads: Uint32Array.from(rows, ({ read }) => read),
      values: Float64Array.from(rows, ({ value }) => value),
      timesMs: Float64Array.from(rows, ({ timeMs }) => timeMs),
      qualities: Uint8Array.from(rows, ({ quality }) => quality),
      reasons: Uint8Array.from(rows, ({ quality, reason }) => (quality === GOOD ? 0 : reasonCode(reason))),
      faults: this.#faults,
      overflows: this.#overflows,
    };
    this.#rows = [];
    this.#faults = [];
    this.#overflows = 0;
    return values;
  }

  #timeOf({ sourceTimestamp, serverTimestamp }: DataValue): number {
    if (this.#time === 'received') return Number.NaN;
    // The library returns null for a time that was not sent.
    const times: readonly (Date | null)[] =
      this.#time === 'source' ? [sourceTimestamp, serverTimestamp] : [serverTimestamp, sourceTimestamp];
    return times.find((time) => time !== null && time.getTime() >= EARLIEST_MS)?.getTime() ?? Number.NaN;
  }
}

type Sample = {
  readonly value: number;
  readonly quality: QualityCode;
  readonly reason: QualityReason;
  readonly fault?: string;
};

function sampleOf(dataValue: DataValue, read: Read | undefined, marked: QualityCode): Sample {
  const mark = `the server marks it ${dataValue.statusCode.name}`;
  const bad = (reason: QualityReason, fault: string): Sample => ({ value: Number.NaN, quality: BAD, reason, fault });
  // A bad value is often null. That alone is not a fault.
  if (marked === BAD) return bad('marked-not-good', mark);
  const found: VariantNumber =
    read === undefined ? { value: undefined, found: 'no tag' } : variantNumber(dataValue.value, read.path, read.map);
  if (read === undefined || found.value === undefined)
    return bad('payload-invalid', `expected a number, found ${found.value === undefined ? found.found : 'no tag'}`);
  const value = found.value * read.scale + read.offset;
  if (!Number.isFinite(value)) return bad('not-finite', `the value is ${value}`);
  if (marked === UNCERTAIN) return { value, quality: UNCERTAIN, reason: 'marked-not-good', fault: mark };
  if (found.isExact) return { value, quality: GOOD, reason: 'none' };
  const fault = `the integer ${found.value} has more digits than a double can hold`;
  return { value, quality: UNCERTAIN, reason: 'precision-lost', fault };
}

/** @see OPC UA Part 4, section 7.39: the two top bits are 00 good, 01 uncertain, 10 bad. */
function qualityOfStatus(code: number): QualityCode {
  return ([GOOD, UNCERTAIN, BAD, BAD] as const)[(code >>> 30) as 0 | 1 | 2 | 3];
}
