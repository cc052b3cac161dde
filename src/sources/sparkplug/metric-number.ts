import { dataTypes, type MetricValue } from '../../protocols/sparkplug/sparkplug-payload.ts';

/** Value of a metric as a number; `isExact` is false for an integer that float64 cannot represent. */
export type MetricNumber = { readonly value: number; readonly isExact: boolean };

/**
 * @param dataType Data type of the birth; DATA messages omit it.
 * @returns Undefined if the value is not a number, or an integer of a type that is not one.
 * @see Sparkplug 3.0, section 6.4.16: signed integers are encoded as unsigned ones with the same bits.
 */
export function metricNumber(metric: MetricValue, dataType: number | undefined): MetricNumber | undefined {
  switch (metric.kind) {
    case 'boolean':
      return exact(metric.value ? 1 : 0);
    case 'float':
    case 'double':
      return exact(metric.value);
    case 'int':
      return exactOrNone(intNumber(metric.value, dataType));
    case 'long':
      return longNumber(metric.value, dataType);
    case 'none':
    case 'text':
    case 'bytes':
    case 'data-set':
    case 'template':
    case 'extension':
      return undefined;
  }
}

/** True if the metric has a single value: not a data set, template, bytes, file or array. */
export function isSingleValue({ kind }: MetricValue, dataType: number | undefined): boolean {
  // A null value has only its data type.
  if (kind === 'none') return dataType === undefined || dataType <= dataTypes.UUID;
  return kind !== 'data-set' && kind !== 'template' && kind !== 'bytes' && kind !== 'extension';
}

function intNumber(value: number, dataType: number | undefined): number | undefined {
  switch (dataType) {
    case dataTypes.Int8:
      return (value << 24) >> 24;
    case dataTypes.Int16:
      return (value << 16) >> 16;
    case dataTypes.Int32:
      return value | 0;
    case dataTypes.Boolean:
      return value === 0 ? 0 : 1;
    case dataTypes.UInt8:
    case dataTypes.UInt16:
    case dataTypes.UInt32:
    case dataTypes.Int64:
    case dataTypes.UInt64:
    case dataTypes.DateTime:
      return value >>> 0;
    case undefined:
    default:
      return undefined;
  }
}

function longNumber(value: bigint, dataType: number | undefined): MetricNumber | undefined {
  if (dataType === undefined || dataType < dataTypes.Int8) return undefined;
  if (dataType > dataTypes.UInt64 && dataType !== dataTypes.DateTime) return undefined;
  const isSigned = dataType <= dataTypes.Int64;
  const number = Number(isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
  return { value: number, isExact: Number.isSafeInteger(number) };
}

function exact(value: number): MetricNumber {
  return { value, isExact: true };
}

function exactOrNone(value: number | undefined): MetricNumber | undefined {
  return value === undefined ? undefined : exact(value);
}
