import { type Command, InvalidArgumentError, Option } from 'commander';
import { sleep } from '../platform/clock.ts';
import { modbusUrlProblem, parseModbusUrl } from '../sources/modbus/frame/modbus-url.ts';
import { ProbeConnection } from '../sources/modbus/probe/probe-connection.ts';
import {
  type Fit,
  type ProbedOrder,
  probedOrders,
  rankFits,
  type Reading,
  readings,
} from '../sources/modbus/probe/probe-readings.ts';
import { readFunctionCodes } from '../sources/modbus/frame/read-pdu.ts';
import { byteOrders } from '../sources/modbus/frame/register-decode.ts';
import { finiteNumber, jsonOption, runs } from './output/command.ts';
import type { Output } from './output/output.ts';
import { systemDeps } from './output/system-deps.ts';
import { table } from './output/table.ts';

const UNIT_ID_MAX = 255;
const ADDRESS_MAX = 65_535;
const REGISTERS_MAX = 1_000;
const BITS_MAX = 2_000;
const WATCH_INTERVAL_MS = 1_000;
/** Fits shown; the right one is nearly always among the first. */
const FITS_SHOWN = 10;
/** Relative difference up to which a value is taken for the expected one: a display rounds, a process moves. */
const FIT_DIFFERENCE_MAX = 0.05;

type Range = { readonly first: number; readonly last: number };
type ProbeOptions = {
  readonly unit: number;
  readonly holding?: Range;
  readonly input?: Range;
  readonly coils?: Range;
  readonly discrete?: Range;
  readonly expect?: number;
  readonly watch?: boolean;
  readonly writeConfig?: boolean;
  readonly json?: boolean;
};
type Kind = keyof typeof readFunctionCodes;
type Probe = { readonly url: string; readonly kind: Kind; readonly range: Range; readonly options: ProbeOptions };

export function addProbeCommand(program: Command): void {
  const command = program.command('probe');
  const registers = range(REGISTERS_MAX);
  const bits = range(BITS_MAX);
  command
    .argument(
      '<url>',
      'a Modbus device: tcp://host:port, rtu+tcp://host:port, serial:///dev/ttyUSB0?baudRate=19200&parity=even',
      modbusUrl,
    )
    .description('reads a block once and shows what it may mean, in every type and byte order; never writes')
    .option('--unit <n>', 'unit id, 0-255', unitId, 1)
    .option('--holding <a-b>', 'holding registers, addresses as on the wire', registers)
    .option('--input <a-b>', 'input registers', registers)
    .option('--coils <a-b>', 'coils', bits)
    .option('--discrete <a-b>', 'discrete inputs', bits)
    .option('--expect <v>', 'a value known to be there, as on the display; what fits comes first', finiteNumber)
    .addOption(new Option('--watch', 'read every second and mark what changed').conflicts(['json', 'writeConfig']))
    .addOption(new Option('--write-config', 'print a tags section for the configuration').conflicts('json'))
    .addOption(jsonOption)
    .action(
      runs((url: string, options: ProbeOptions, output: Output) => {
        const { holding, input, coils: coil, discrete } = options;
        const kinds = Object.entries({ holding, input, coil, discrete }) as [Kind, Range | undefined][];
        const blocks = kinds.flatMap(([kind, block]) => (block === undefined ? [] : [{ kind, range: block }]));
        const [block] = blocks;
        if (block === undefined || blocks.length > 1)
          return command.error('error: name one block: --holding, --input, --coils or --discrete');
        if (options.expect !== undefined && isBits(block.kind))
          return command.error('error: --expect is for registers; a bit is 0 or 1');
        return probeCommand({ url, ...block, options }, output);
      }),
    );
}

/** `andon probe`. @returns 0; a device that refuses or does not answer is an `OperatingError`. */
async function probeCommand(probe: Probe, output: Output): Promise<number> {
  const deps = systemDeps();
  const { first, last } = probe.range;
  const functionCode = readFunctionCodes[probe.kind];
  const request = { unitId: probe.options.unit, functionCode, address: first, count: last - first + 1 };
  using connection = new ProbeConnection(parseModbusUrl(probe.url), deps);
  let values = await connection.read(request);
  const stop = new AbortController();
  if (probe.options.watch === true) process.once('SIGINT', () => stop.abort());
  show(probe, values, undefined, output);
  if (probe.options.watch !== true) return 0;

  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await sleep(deps.clock, WATCH_INTERVAL_MS, stop.signal);
    if (stop.signal.aborted) return 0;
    const before = values;
    // oxlint-disable-next-line no-await-in-loop -- as above
    values = await connection.read(request);
    output.out(`\n${new Date(deps.clock.nowMs()).toISOString()}`);
    show(probe, values, before, output);
  }
}

function show(probe: Probe, values: readonly number[], before: readonly number[] | undefined, output: Output): void {
  const { url, kind, range: block, options } = probe;
  const { expect: expected, unit } = options;
  const registers = isBits(kind) ? [] : readings(values, block.first);
  const ranked = expected === undefined ? [] : rankFits(registers, expected).slice(0, FITS_SHOWN);
  const fits = ranked.filter(({ difference }) => difference <= FIT_DIFFERENCE_MAX);
  if (options.json === true) {
    const bits = values.map((value, index) => ({ address: block.first + index, value: value === 1 }));
    const found = isBits(kind) ? { bits } : { registers, ...(expected === undefined ? {} : { expected, fits }) };
    output.out(JSON.stringify({ ok: true, url, unit, kind, ...found }));
    return;
  }
  if (expected !== undefined && fits.length === 0) {
    const complaint = `nothing is within ${FIT_DIFFERENCE_MAX * 100} % of ${expected}`;
    output.err(`andon: ${complaint}`);
  }
  if (options.writeConfig === true) return output.out(tagsSection(probe, fits));
  if (fits.length > 0) output.out(`${fitsTable(fits)}\n`);
  const marks = values.map((value, index) => (before !== undefined && before[index] !== value ? '*' : ''));
  if (isBits(kind)) {
    const rows = values.map((value, index) => [String(block.first + index), String(value), marks[index] ?? '']);
    output.out(table(['address', 'value', ''], rows));
    return;
  }
  output.out(registerTables(registers, marks));
}

function fitsTable(fits: readonly Fit[]): string {
  const rows = fits.map(({ address, type, byteOrder, scale, value, difference }) => [
    String(address),
    type,
    byteOrder,
    String(scale),
    number(value),
    `${(difference * 100).toFixed(2)} %`,
  ]);
  return table(['address', 'type', 'byteOrder', 'scale', 'value', 'off by'], rows);
}

/** @param marks One for each register; not empty if it changed. */
function registerTables(registers: readonly Reading[], marks: readonly string[]): string {
  const overview = registers.map((reading, index) => [
    String(reading.address),
    String(reading.uint16),
    String(reading.int16),
    reading.hex,
    ...byteOrders.map((byteOrder) => valueOf(reading, 'float32', byteOrder)),
    marks[index] ?? '',
  ]);
  const heads = ['address', 'uint16', 'int16', 'hex', ...byteOrders.map((order) => `float32 ${order}`), ''];
  const others = registers.flatMap((reading) =>
    probedOrders
      .filter((order) => reading.interpretations.some(({ byteOrder }) => byteOrder === order))
      .map((order) => [String(reading.address), order, ...otherTypes.map((type) => valueOf(reading, type, order))]),
  );
  return `${table(heads, overview)}\n\n${table(['address', 'order', ...otherTypes], others)}`;
}

/** An 8-bit value is the low byte, in BADC and DCBA the high one. */
const otherTypes = [
  'int8',
  'uint8',
  'int16',
  'uint16',
  'float16',
  'bcd16',
  'int32',
  'uint32',
  'bcd32',
  'int64',
  'uint64',
  'float64',
] as const;

function valueOf(reading: Reading, type: string, byteOrder: ProbedOrder): string {
  const found = reading.interpretations.find((way) => way.type === type && way.byteOrder === byteOrder);
  return found === undefined ? '' : number(found.value);
}

/** Whole numbers in full, others with six digits. */
function number(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? value.toPrecision(6) : String(Number(value.toPrecision(6)));
}

/** @param fits The best becomes a tag, the others stand by as comments; without one every register or bit is a tag. */
function tagsSection({ kind, range: { first, last } }: Probe, fits: readonly Fit[]): string {
  if (fits.length > 0) {
    const tags = fits.map(({ address, type, byteOrder, scale }, index) => {
      const scaled = scale === 1 ? '' : `, scale: ${scale}`;
      const tag = `{ register: ${kind}, address: ${address}, type: ${type}, byteOrder: ${byteOrder}${scaled} }`;
      return `  ${index === 0 ? '' : '# or: '}${kind}-${address}: ${tag}`;
    });
    return ['tags:', ...tags].join('\n');
  }
  const type = isBits(kind) ? 'bool' : 'uint16';
  const tags = Array.from({ length: last - first + 1 }, (_, index) => {
    const address = first + index;
    return `  ${kind}-${address}: { register: ${kind}, address: ${address}, type: ${type} }`;
  });
  return ['tags:', ...tags].join('\n');
}

function isBits(kind: Kind): boolean {
  return kind === 'coil' || kind === 'discrete';
}

function modbusUrl(text: string): string {
  const problem = modbusUrlProblem(text);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  return text;
}

function unitId(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) > UNIT_ID_MAX)
    throw new InvalidArgumentError(`expected a unit id, 0-${UNIT_ID_MAX}`);
  return Number(text);
}

/** @param countMax Longest block. */
function range(countMax: number): (text: string) => Range {
  return (text) => {
    const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
    const first = Number(from);
    const last = to === undefined ? first : Number(to);
    if (from === undefined || last < first || last > ADDRESS_MAX)
      throw new InvalidArgumentError(`expected addresses such as 0-9, up to ${ADDRESS_MAX}`);
    if (last - first + 1 > countMax) throw new InvalidArgumentError(`at most ${countMax} at once`);
    return { first, last };
  };
}
