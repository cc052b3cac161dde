import { nameSome } from '../../../domain/name-list.ts';
import type { PlannedRead, ScanPlan } from '../../../contracts/source.ts';
import { formatDuration } from '../../../domain/duration.ts';
import { invariant } from '../../../platform/errors.ts';
import { groupObstacle, type ModbusSourceConfig, REQUESTS_IN_FLIGHT_MAX } from './modbus-config.ts';
import type { ModbusTagConfig } from './modbus-tag-config.ts';
import { requestMs, silenceMs } from '../frame/bus-time.ts';
import { endpointName, parseModbusUrl } from '../../../protocols/modbus/modbus-url.ts';
import { codeText, INVALID_ADVICE, notAvailableCodes, type NotAvailableCodes } from '../frame/not-available.ts';
import type { ByteOrder, LongByteOrder, ValueType } from '../frame/register-decode.ts';
import type { TextLayout } from '../frame/register-text.ts';
import { locateTag, tagNames, widthOf } from './tag-location.ts';
import { type Placed, planReads, type ReadBlock, type ReadLimits } from './register-plan.ts';
import { readFunctionCodes } from '../frame/read-pdu.ts';

/** Interpretation of registers: a number or text. */
type Meaning =
  | {
      readonly type: ValueType;
      readonly byteOrder: ByteOrder | LongByteOrder;
      /** Bit of the register; for a bool only. */
      readonly bit: number | undefined;
      readonly codes: NotAvailableCodes;
    }
  | ({ readonly type: 'string' } & TextLayout);

/** A tag with its location in the device and the interpretation of its registers. */
export type LocatedTag = Placed & {
  readonly name: string;
  readonly meaning: Meaning;
  readonly scale: number;
  readonly offset: number;
};

/** Tags that are read together with one scan interval. */
export type PlannedScanClass = {
  /** 0 scans without a pause. */
  readonly scanIntervalMs: number;
  readonly blocks: readonly ReadBlock<LocatedTag>[];
};

/** Largest maxGap that the schema accepts. */
const MAX_GAP_MAX = 125;
/** Proposed intervals are multiples of this. */
const INTERVAL_STEP_MS = 10;

export function readLimits(config: ModbusSourceConfig): ReadLimits {
  return {
    maxGap: config.maxGap,
    maxRegisters: config.maxRegistersPerRequest,
    maxBits: config.maxBitsPerRequest,
  };
}

/** Returns the source's scan classes, the shortest interval first. */
export function planScanClasses(config: ModbusSourceConfig): readonly PlannedScanClass[] {
  const classes = new Map<number, LocatedTag[]>();
  for (const [name, tag] of Object.entries(config.tags)) {
    const scanIntervalMs = tag.scanIntervalMs ?? config.scanIntervalMs;
    const members = classes.get(scanIntervalMs) ?? [];
    classes.set(scanIntervalMs, members);
    members.push(...locateTags(name, tag, config));
  }
  return [...classes]
    .toSorted(([a], [b]) => a - b)
    .map(([scanIntervalMs, tags]) => ({ scanIntervalMs, blocks: planReads(tags, readLimits(config)) }));
}

/** Returns the data of `andon plan`: each scan class with its reads and their time, and whether the link can carry them. */
export function planScans(id: string, config: ModbusSourceConfig): readonly ScanPlan[] {
  const classes = planScanClasses(config).map((planned) => ({
    ...planned,
    busTimeMs: planned.blocks.reduce((sum, block) => sum + blockMs(block, config), 0),
  }));
  const load = classes.reduce((sum, { scanIntervalMs, busTimeMs }) => {
    return scanIntervalMs === 0 ? sum : sum + busTimeMs / scanIntervalMs;
  }, 0);
  return classes.map((planned) => ({
    source: id,
    unitId: config.unitId,
    scanIntervalMs: planned.scanIntervalMs,
    tags: planned.blocks.reduce((sum, { items }) => sum + items.length, 0),
    requests: planned.blocks.map(plannedRead),
    busTimeMs: roundMs(planned.busTimeMs),
    advice: adviseScan(config, planned, load),
    notes: suspectNotes(planned.blocks.flatMap(({ items }) => items)),
  }));
}

function blockMs(block: ReadBlock<LocatedTag>, config: ModbusSourceConfig, inFlight = config.requestsInFlight): number {
  const { functionCode, address, count, registerBits } = block;
  const endpoint = parseModbusUrl(config.url);
  const pauseMs = Math.max(config.pauseBetweenRequestsMs, silenceMs(endpoint));
  return requestMs(endpoint, { unitId: config.unitId, functionCode, address, count, registerBits }, pauseMs, inFlight);
}

/** Returns the tags of one entry: one, or one for each value of an array. */
function locateTags(name: string, tag: ModbusTagConfig, config: ModbusSourceConfig): readonly LocatedTag[] {
  const place = locateTag(tag, config);
  invariant(typeof place !== 'string', `The schema accepts only tags with a valid address; ${name} has none`);
  const registerBits = tag.registerBits ?? config.registerBits;
  const width = widthOf(tag, place.register, registerBits);
  const byteOrder = tag.byteOrder ?? config.byteOrder;
  return tagNames(name, tag).map((itsName, index) => ({
    name: itsName,
    functionCode: readFunctionCodes[place.register],
    address: place.address + index * width,
    width,
    registerBits,
    meaning: meaningOf(tag, byteOrder, config.invalid),
    scale: tag.scale,
    offset: tag.offset,
  }));
}

function meaningOf(
  tag: ModbusTagConfig,
  byteOrder: ByteOrder | LongByteOrder,
  invalid: ModbusSourceConfig['invalid'],
): Meaning {
  const lowByteFirst = byteOrder === 'BADC' || byteOrder === 'DCBA';
  if (tag.type === 'string' || tag.type === 'bytes') {
    const half = lowByteFirst && tag.byte !== undefined ? otherHalf(tag.byte) : tag.byte;
    return {
      type: 'string',
      length: tag.length ?? 1,
      encoding: tag.type === 'bytes' ? 'hex' : (tag.encoding ?? 'utf8'),
      trim: tag.type === 'string' && (tag.trim ?? true),
      lowByteFirst,
      half,
    };
  }
  const codes = notAvailableCodes(tag.type, tag.invalid ?? invalid);
  if (tag.byte !== 'high') return { type: tag.type, byteOrder, bit: tag.bit, codes };
  // The high byte is the low byte of a register with swapped bytes.
  return { type: tag.type, byteOrder: lowByteFirst ? 'ABCD' : 'BADC', bit: undefined, codes };
}

/** Returns a note about the tags whose raw value may be a code for "not available". */
function suspectNotes(tags: readonly LocatedTag[]): readonly string[] {
  const suspects = tags.flatMap(({ name, meaning }) =>
    meaning.type === 'string' || meaning.codes.suspected.length === 0
      ? []
      : [{ name, codes: meaning.codes.suspected.map((raw) => codeText(meaning.type, raw)) }],
  );
  if (suspects.length === 0) return [];
  const codes = [...new Set(suspects.flatMap((suspect) => suspect.codes))].join(', ');
  const names = nameSome(suspects.map(({ name }) => name));
  return [`${names} without invalid: the raw values ${codes} are uncertain (not-available?). ${INVALID_ADVICE}`];
}

function otherHalf(half: 'low' | 'high'): 'low' | 'high' {
  return half === 'low' ? 'high' : 'low';
}

function plannedRead({ functionCode, address, count, items }: ReadBlock<LocatedTag>): PlannedRead {
  return { functionCode, address, count, tags: items.map(({ name }) => name) };
}

type CostedClass = PlannedScanClass & { readonly busTimeMs: number };

function adviseScan(config: ModbusSourceConfig, scan: CostedClass, load: number): string | undefined {
  const { scanIntervalMs, blocks, busTimeMs } = scan;
  if (scanIntervalMs === 0) return undefined;
  if (busTimeMs > scanIntervalMs) {
    const needs = `${blocks.length} requests need about ${roundMs(busTimeMs)} ms, more than the scan interval of ${formatDuration(scanIntervalMs)}`;
    return `${needs}: ${changes(config, scan)}`;
  }
  if (load <= 1) return undefined;
  const name = endpointName(parseModbusUrl(config.url));
  return `All scans of ${name} together need ${Math.round(load * 100)} % of its time: ${changes(config, scan)}`;
}

/** Returns advice: reads that a larger gap joins, tags that need a request of their own, an interval that fits. */
function changes(config: ModbusSourceConfig, { blocks, busTimeMs, scanIntervalMs }: CostedClass): string {
  const joined = planReads(
    blocks.flatMap(({ items }) => items),
    { ...readLimits(config), maxGap: MAX_GAP_MAX },
  );
  const joinedMs = joined.reduce((sum, block) => sum + blockMs(block, config), 0);
  const alone = blocks.filter(({ items }) => items.length === 1).flatMap(({ items }) => items.map(({ name }) => name));
  const fitsMs = Math.ceil(busTimeMs / INTERVAL_STEP_MS) * INTERVAL_STEP_MS;
  const inFlight = groupObstacle(config) === undefined ? enoughInFlight(config, blocks, scanIntervalMs) : undefined;
  return [
    ...(inFlight === undefined
      ? []
      : [`requestsInFlight: ${inFlight}, if the device answers as many (andon probe --in-flight finds out)`]),
    ...(joinedMs < busTimeMs
      ? [
          `a larger maxGap (now ${config.maxGap}) joins reads down to ${joined.length}, about ${roundMs(joinedMs)} ms, if the device has the registers between`,
        ]
      : []),
    ...(alone.length > 0 && blocks.length > 1
      ? [
          `${nameSome(alone)} take${alone.length === 1 ? 's' : ''} a request each: scan ${alone.length === 1 ? 'it' : 'them'} less often, or move ${alone.length === 1 ? 'it' : 'them'} next to the others in the device`,
        ]
      : []),
    `scan every ${formatDuration(Math.max(fitsMs, scanIntervalMs * 2))} instead`,
  ].join('; or ');
}

/** Returns the smallest number of requests in flight, larger than now, with which a scan fits into its interval. */
function enoughInFlight(
  config: ModbusSourceConfig,
  blocks: readonly ReadBlock<LocatedTag>[],
  scanIntervalMs: number,
): number | undefined {
  for (
    let inFlight = config.requestsInFlight + 1;
    inFlight <= Math.min(blocks.length, REQUESTS_IN_FLIGHT_MAX);
    inFlight += 1
  )
    if (blocks.reduce((sum, block) => sum + blockMs(block, config, inFlight), 0) <= scanIntervalMs) return inFlight;
  return undefined;
}

/** Rounds to tenths: the accuracy of the estimate. */
function roundMs(ms: number): number {
  return Math.round(ms * 10) / 10;
}
