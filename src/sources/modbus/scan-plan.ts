import type { PlannedRead, ScanPlan } from '../../contracts/source.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { ModbusSourceConfig, ModbusTagConfig } from './modbus-config.ts';
import { parseModbusUrl } from './modbus-url.ts';
import type { ByteOrder, ValueType } from './register-decode.ts';
import { registersOf } from './register-decode.ts';
import type { Placed, ReadBlock, ReadLimits } from './register-plan.ts';
import { planReads } from './register-plan.ts';
import { readFunctionCodes, readsBits } from './read-pdu.ts';

/** A tag at its place in the device, and what its registers mean. */
export type PlacedTag = Placed & {
  readonly name: string;
  readonly type: ValueType;
  readonly byteOrder: ByteOrder;
  readonly bit: number | undefined;
  readonly scale: number;
  readonly offset: number;
};

/** Tags that are read together at one period. */
export type PlannedScanClass = {
  /** 0 scans without a pause. */
  readonly scanIntervalMs: number;
  readonly blocks: readonly ReadBlock<PlacedTag>[];
};

/**
 * Guess of what one request costs over Modbus TCP: network round trip, and the device's own cycle, which most
 * answer in. Small PLCs take 1–10 ms; `andon_modbus_request_duration_seconds` has the real figure.
 */
const TCP_REQUEST_MS = 2;

export function readLimits(config: ModbusSourceConfig): ReadLimits {
  return {
    maxGap: config.maxGap,
    maxRegisters: config.maxRegistersPerRequest,
    maxBits: config.maxBitsPerRequest,
  };
}

/** The source's scan classes, shortest interval first. */
export function planScanClasses(config: ModbusSourceConfig): readonly PlannedScanClass[] {
  const classes = new Map<number, PlacedTag[]>();
  for (const [name, tag] of Object.entries(config.tags)) {
    const scanIntervalMs = tag.scanInterval ?? config.scanInterval;
    const members = classes.get(scanIntervalMs) ?? [];
    classes.set(scanIntervalMs, members);
    members.push(placeTag(name, tag, config));
  }
  return [...classes]
    .toSorted(([a], [b]) => a - b)
    .map(([scanIntervalMs, tags]) => ({ scanIntervalMs, blocks: planReads(tags, readLimits(config)) }));
}

/** What `andon plan` shows: each scan class, its reads and what they cost, and whether the link can carry them all. */
export function planScans(id: string, config: ModbusSourceConfig): readonly ScanPlan[] {
  const classes = planScanClasses(config);
  const load = classes.reduce((sum, { scanIntervalMs, blocks }) => {
    return scanIntervalMs === 0 ? sum : sum + (blocks.length * TCP_REQUEST_MS) / scanIntervalMs;
  }, 0);
  return classes.map(({ scanIntervalMs, blocks }) => {
    const busTimeMs = blocks.length * TCP_REQUEST_MS;
    return {
      source: id,
      unitId: config.unitId,
      scanIntervalMs,
      tags: blocks.reduce((sum, { items }) => sum + items.length, 0),
      requests: blocks.map(plannedRead),
      busTimeMs,
      advice: advise(config, { scanIntervalMs, requests: blocks.length, busTimeMs, load }),
    };
  });
}

function placeTag(name: string, tag: ModbusTagConfig, config: ModbusSourceConfig): PlacedTag {
  const functionCode = readFunctionCodes[tag.register];
  return {
    name,
    functionCode,
    address: tag.address,
    width: readsBits(functionCode) ? 1 : registersOf(tag.type),
    type: tag.type,
    byteOrder: tag.byteOrder ?? config.byteOrder,
    bit: tag.bit,
    scale: tag.scale,
    offset: tag.offset,
  };
}

function plannedRead({ functionCode, address, count, items }: ReadBlock<PlacedTag>): PlannedRead {
  return { functionCode, address, count, tags: items.map(({ name }) => name) };
}

function advise(
  config: ModbusSourceConfig,
  scan: { scanIntervalMs: number; requests: number; busTimeMs: number; load: number },
): string {
  const { scanIntervalMs, requests, busTimeMs, load } = scan;
  if (scanIntervalMs === 0) return '';
  const change = `scan less often, or join reads with a larger maxGap (now ${config.maxGap})`;
  if (busTimeMs > scanIntervalMs)
    return `${requests} requests need about ${busTimeMs} ms, more than the scan interval of ${formatDuration(scanIntervalMs)}: ${change}`;
  if (load <= 1) return '';
  const { host, port } = parseModbusUrl(config.url);
  return `All scans of ${host}:${port} together need ${Math.round(load * 100)} % of its time: ${change}`;
}
