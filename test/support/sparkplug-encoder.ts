import protobuf from 'protobufjs/minimal.js';

/** Fields of a metric as they go on the wire; what is absent is not written. */
export type RawMetric = {
  readonly name?: string;
  readonly alias?: number;
  readonly timestamp?: number;
  readonly dataType?: number;
  readonly isNull?: boolean;
  readonly int?: number;
  /** Negative numbers are sign-extended to 64 bits. */
  readonly long?: bigint;
  readonly double?: number;
  readonly boolean?: boolean;
  readonly text?: string;
  readonly dataSet?: true;
  readonly template?: { readonly members: readonly RawMetric[]; readonly isDefinition?: boolean };
};

/**
 * Encodes a Sparkplug B payload field by field, so that a test can send what libraries refuse to encode.
 *
 * @param sequence Undefined omits the field.
 */
export function rawSparkplug(timestamp: number, sequence: number | undefined, metrics: readonly RawMetric[]): Buffer {
  const writer = protobuf.Writer.create().uint32(8).uint64(timestamp);
  for (const metric of metrics) writeMetric(writer.uint32(18).fork(), metric).ldelim();
  if (sequence !== undefined) writer.uint32(24).uint64(sequence);
  return Buffer.from(writer.finish());
}

function writeMetric(writer: protobuf.Writer, metric: RawMetric): protobuf.Writer {
  if (metric.name !== undefined) writer.uint32(10).string(metric.name);
  if (metric.alias !== undefined) writer.uint32(16).uint64(metric.alias);
  if (metric.timestamp !== undefined) writer.uint32(24).uint64(metric.timestamp);
  if (metric.dataType !== undefined) writer.uint32(32).uint32(metric.dataType);
  if (metric.isNull !== undefined) writer.uint32(56).bool(metric.isNull);
  if (metric.int !== undefined) writer.uint32(80).uint32(metric.int);
  if (metric.long !== undefined) {
    const bits = BigInt.asUintN(64, metric.long);
    writer.uint32(88).uint64({ low: Number(bits & 0xff_ff_ff_ffn), high: Number(bits >> 32n), unsigned: true });
  }
  if (metric.double !== undefined) writer.uint32(105).double(metric.double);
  if (metric.boolean !== undefined) writer.uint32(112).bool(metric.boolean);
  if (metric.text !== undefined) writer.uint32(122).string(metric.text);
  if (metric.dataSet !== undefined) writer.uint32(138).fork().uint32(8).uint32(0).ldelim();
  if (metric.template !== undefined) {
    const template = writer.uint32(146).fork();
    for (const member of metric.template.members) writeMetric(template.uint32(18).fork(), member).ldelim();
    if (metric.template.isDefinition !== undefined) template.uint32(40).bool(metric.template.isDefinition);
    template.ldelim();
  }
  return writer;
}
