import Long from 'long';
import protobuf from 'protobufjs/minimal.js';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';

/*
 * Payloads of Sparkplug B with process values. Data sets, bytes and arrays are detected and skipped.
 *
 * The fields are decoded with protobufjs. Eclipse Tahu's sparkplug-payload 1.0.3 decodes a value only if the metric
 * repeats its datatype, which DATA messages should not (Sparkplug 3.0), and reads a UInt32 above 2^31 as negative.
 */

/** Sparkplug 3.0, section 6.4.16. */
export const dataTypes = {
  Int8: 1,
  Int16: 2,
  Int32: 3,
  Int64: 4,
  UInt8: 5,
  UInt16: 6,
  UInt32: 7,
  UInt64: 8,
  Float: 9,
  Double: 10,
  Boolean: 11,
  String: 12,
  DateTime: 13,
  Text: 14,
  UUID: 15,
} as const;

/** Value of a metric by its protobuf field; 'none' if it is missing or null. */
export type MetricValue =
  | { readonly kind: 'int' | 'float' | 'double'; readonly value: number }
  | { readonly kind: 'long'; readonly value: bigint }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'text'; readonly value: string }
  /** A definition of a template has default values and no process values. */
  | { readonly kind: 'template'; readonly isDefinition: boolean; readonly members: readonly SparkplugMetric[] }
  | { readonly kind: 'none' | 'bytes' | 'data-set' | 'extension' };

export type SparkplugMetric = {
  readonly name: string | undefined;
  readonly alias: number | undefined;
  /** As sent: some edge nodes send seconds, or more digits than milliseconds. */
  readonly timestamp: number | undefined;
  readonly dataType: number | undefined;
  readonly isHistorical: boolean;
  /** Property `Quality`, an OPC code: 192 is good, 0 bad, 500 stale; undefined if missing. */
  readonly quality: number | undefined;
  readonly value: MetricValue;
};

export type SparkplugPayload = {
  /** As sent. */
  readonly timestamp: number | undefined;
  /** 0–255; undefined if omitted, as protocol buffers may omit a 0. */
  readonly sequence: number | undefined;
  readonly metrics: readonly SparkplugMetric[];
};

/** A birth of a large plant has about 10,000; a payload of 1 MB could contain 500,000 empty ones. */
const METRICS_MAX = 100_000;
const PROPERTIES_MAX = 1000;
/** Depth of templates in templates. */
const DEPTH_MAX = 8;

// protobufjs finds `long` by its name only if it is there. Without it, integers above 2^53 would be rounded.
protobuf.util.Long = Long;
protobuf.configure();

type LongBits = { readonly high: number; readonly low: number } | number;
type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** @throws {OperatingError} 'sparkplug-payload-invalid' (reject) if the bytes are not a payload, or have too many metrics. */
export function decodeSparkplug(payload: Uint8Array): SparkplugPayload {
  try {
    return decodePayload(protobuf.Reader.create(payload));
  } catch (error) {
    const text = `The payload is not Sparkplug B: ${errorMessage(error)}`;
    throw new OperatingError('sparkplug-payload-invalid', 'reject', text, { cause: error });
  }
}

function decodePayload(reader: protobuf.Reader): SparkplugPayload {
  const metrics: SparkplugMetric[] = [];
  const budget = { metrics: METRICS_MAX };
  let timestamp: number | undefined;
  let sequence: number | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === field(1, VARINT)) timestamp = Number(bigOf(reader.uint64()));
    else if (tag === field(3, VARINT)) sequence = wholeNumber(reader.uint64(), 'seq');
    else if (tag === field(2, BYTES)) metrics.push(decodeMetric(reader, reader.uint32() + reader.pos, budget, 0));
    else reader.skipType(tag & 7);
  }
  return { timestamp, sequence, metrics };
}

/** Metrics that may still be decoded, those in templates included. */
type Budget = { metrics: number };

function decodeMetric(reader: protobuf.Reader, end: number, budget: Budget, depth: number): SparkplugMetric {
  const metric: Mutable<SparkplugMetric> = {
    name: undefined,
    alias: undefined,
    timestamp: undefined,
    dataType: undefined,
    isHistorical: false,
    quality: undefined,
    value: { kind: 'none' },
  };
  let isNull = false;
  within(reader, end);
  budget.metrics -= 1;
  if (budget.metrics < 0) throw new RangeError(`it has more than ${METRICS_MAX} metrics`);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === field(1, BYTES)) metric.name = reader.string();
    else if (tag === field(2, VARINT)) metric.alias = wholeNumber(reader.uint64(), 'alias');
    else if (tag === field(3, VARINT)) metric.timestamp = Number(bigOf(reader.uint64()));
    else if (tag === field(4, VARINT)) metric.dataType = reader.uint32();
    else if (tag === field(5, VARINT)) metric.isHistorical = reader.bool();
    else if (tag === field(7, VARINT)) isNull = reader.bool();
    else if (tag === field(9, BYTES)) metric.quality = decodeQualityProperty(reader, reader.uint32() + reader.pos);
    else if (tag === field(18, BYTES))
      metric.value = decodeTemplate(reader, reader.uint32() + reader.pos, budget, depth + 1);
    else metric.value = decodeValue(reader, tag) ?? metric.value;
  }
  if (isNull) metric.value = { kind: 'none' };
  return ended(reader, end, metric);
}

function decodeTemplate(reader: protobuf.Reader, end: number, budget: Budget, depth: number): MetricValue {
  const members: SparkplugMetric[] = [];
  let isDefinition = false;
  within(reader, end);
  if (depth > DEPTH_MAX) throw new RangeError(`it has more than ${DEPTH_MAX} templates in each other`);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === field(2, BYTES)) members.push(decodeMetric(reader, reader.uint32() + reader.pos, budget, depth));
    else if (tag === field(5, VARINT)) isDefinition = reader.bool();
    else reader.skipType(tag & 7);
  }
  return ended(reader, end, { kind: 'template', isDefinition, members });
}

/** @returns Undefined if the field is not a value; it is skipped. */
function decodeValue(reader: protobuf.Reader, tag: number): MetricValue | undefined {
  if (tag === field(10, VARINT)) return { kind: 'int', value: reader.uint32() };
  if (tag === field(11, VARINT)) return { kind: 'long', value: bigOf(reader.uint64()) };
  if (tag === field(12, FIXED32)) return { kind: 'float', value: reader.float() };
  if (tag === field(13, FIXED64)) return { kind: 'double', value: reader.double() };
  if (tag === field(14, VARINT)) return { kind: 'boolean', value: reader.bool() };
  if (tag === field(15, BYTES)) return { kind: 'text', value: reader.string() };
  reader.skipType(tag & 7);
  if (tag === field(16, BYTES)) return { kind: 'bytes' };
  if (tag === field(17, BYTES)) return { kind: 'data-set' };
  return tag === field(19, BYTES) ? { kind: 'extension' } : undefined;
}

/** A property set is a list of keys and a list of values. */
function decodeQualityProperty(reader: protobuf.Reader, end: number): number | undefined {
  const keys: string[] = [];
  const values: (number | undefined)[] = [];
  within(reader, end);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (keys.length + values.length > PROPERTIES_MAX) throw new RangeError('a metric has too many properties');
    if (tag === field(1, BYTES)) keys.push(reader.string());
    else if (tag === field(2, BYTES)) values.push(decodeProperty(reader, reader.uint32() + reader.pos));
    else reader.skipType(tag & 7);
  }
  return ended(reader, end, values[keys.indexOf('Quality')]);
}

function decodeProperty(reader: protobuf.Reader, end: number): number | undefined {
  let value: number | undefined;
  within(reader, end);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === field(3, VARINT)) value = reader.int32();
    else if (tag === field(4, VARINT)) value = Number(BigInt.asIntN(64, bigOf(reader.uint64())));
    else reader.skipType(tag & 7);
  }
  return ended(reader, end, value);
}

/** A metric to send; its type determines the field of its value. */
export type SparkplugMetricDraft = {
  /** Undefined in data with an alias. */
  readonly name: string | undefined;
  /** Number of the metric within its edge node, which the birth gives it. */
  readonly alias?: number;
  /** Property `Quality`: 192 is good, 0 bad. */
  readonly quality?: number;
  /** True for a value of the past that is sent late. Default: false. */
  readonly isHistorical?: boolean;
  readonly timestampMs: EpochMs;
  readonly dataType: number;
  /** Undefined is sent as null. */
  readonly value: number | boolean | string | undefined;
};

/**
 * @param sequence Undefined for a death and a command, which have none.
 * @param types 'omitted' for data messages: their datatypes are those of the birth.
 */
export function encodeSparkplug(
  timestampMs: EpochMs,
  sequence: number | undefined,
  metrics: readonly SparkplugMetricDraft[],
  types: 'written' | 'omitted' = 'written',
): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(field(1, VARINT)).uint64(Math.round(timestampMs));
  for (const metric of metrics) encodeMetric(writer.uint32(field(2, BYTES)).fork(), metric, types).ldelim();
  if (sequence !== undefined) writer.uint32(field(3, VARINT)).uint64(sequence);
  return writer.finish();
}

function encodeMetric(
  writer: protobuf.Writer,
  metric: SparkplugMetricDraft,
  types: 'written' | 'omitted',
): protobuf.Writer {
  const { name, alias, timestampMs, dataType, value, quality } = metric;
  if (name !== undefined) writer.uint32(field(1, BYTES)).string(name);
  if (alias !== undefined) writer.uint32(field(2, VARINT)).uint64(alias);
  writer.uint32(field(3, VARINT)).uint64(Math.round(timestampMs));
  if (types === 'written') writer.uint32(field(4, VARINT)).uint32(dataType);
  if (metric.isHistorical === true) writer.uint32(field(5, VARINT)).bool(true);
  if (value === undefined) writer.uint32(field(7, VARINT)).bool(true);
  if (quality !== undefined) encodeQuality(writer.uint32(field(9, BYTES)).fork(), quality).ldelim();
  if (value === undefined) return writer;
  if (typeof value === 'boolean') return writer.uint32(field(14, VARINT)).bool(value);
  if (typeof value === 'string') return writer.uint32(field(15, BYTES)).string(value);
  if (dataType === dataTypes.Double) return writer.uint32(field(13, FIXED64)).double(value);
  return writer.uint32(field(11, VARINT)).uint64(value);
}

/** Writes a property set with `Quality` only. */
function encodeQuality(writer: protobuf.Writer, quality: number): protobuf.Writer {
  writer.uint32(field(1, BYTES)).string('Quality');
  const value = writer.uint32(field(2, BYTES)).fork();
  value.uint32(field(1, VARINT)).uint32(dataTypes.Int32);
  return value.uint32(field(3, VARINT)).uint32(quality).ldelim();
}

/** Wire types of protocol buffers. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function field(number: number, wireType: number): number {
  return number * 8 + wireType;
}

function within(reader: protobuf.Reader, end: number): void {
  if (end > reader.len) throw new RangeError(`it ends ${end - reader.len} bytes too early`);
}

function ended<T>(reader: protobuf.Reader, end: number, result: T): T {
  if (reader.pos !== end) throw new RangeError('a part of it is longer than the whole');
  return result;
}

function bigOf(long: LongBits): bigint {
  if (typeof long === 'number') return BigInt(long);
  return (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
}

function wholeNumber(long: LongBits, what: string): number {
  const number = typeof long === 'number' ? long : (long.high >>> 0) * 2 ** 32 + (long.low >>> 0);
  if (!Number.isSafeInteger(number)) throw new RangeError(`its ${what} is ${number}`);
  return number;
}
