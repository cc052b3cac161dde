import { type Command, InvalidArgumentError, Option } from 'commander';
import { sleep } from '../platform/clock.ts';
import { modbusUrlProblem, parseModbusUrl } from '../protocols/modbus/modbus-url.ts';
import { type InFlightTrial, tryInFlight } from '../sources/modbus/probe/in-flight-trial.ts';
import { ProbeConnection } from '../sources/modbus/probe/probe-connection.ts';
import {
  type Fit,
  type ProbedOrder,
  probedOrders,
  rankFits,
  type Reading,
  readings,
} from '../sources/modbus/probe/probe-readings.ts';
import { readFunctionCodes, type ReadRequest } from '../sources/modbus/frame/read-pdu.ts';
import { INVALID_ADVICE } from '../sources/modbus/frame/not-available.ts';
import { byteOrders, registersOf, type ValueType } from '../sources/modbus/frame/register-decode.ts';
import { likelyTags } from '../sources/modbus/probe/likely-tags.ts';
import { isPlausible, isUsual } from '../sources/modbus/probe/plausibility.ts';
import type { AddressRange } from '../sources/modbus/probe/modbus-scan.ts';
import { finiteNumber, jsonOption, numberRange, runs } from './output/command.ts';
import type { Output } from './output/output.ts';
import { systemDeps } from '../platform/deps.ts';
import { table } from './output/table.ts';

const UNIT_ID_MAX = 255;
const ADDRESS_MAX = 65_535;
const REGISTERS_MAX = 1_000;
const BITS_MAX = 2_000;
const WATCH_INTERVAL_MS = 1_000;
/** Fits shown. At least three, because a single line that fits by chance would mislead. */
const FITS_SHOWN = 10;
const FITS_SHOWN_MIN = 3;
/** Reads that are compared for --expect and --write-config, and those that --watch remembers. */
const READS = 3;
const READS_INTERVAL_MS = 300;
const READS_KEPT = 20;
/** Relative difference up to which a value is taken for the expected one: a display rounds, a process moves. */
const FIT_DIFFERENCE_MAX = 0.05;

/** Registers that devices without a measurement send. */
const SUSPECT_WORDS: ReadonlySet<number> = new Set([0x8000, 0x7fff, 0xffff]);

type ProbeOptions = {
  readonly unit: number;
  readonly holding?: AddressRange;
  readonly input?: AddressRange;
  readonly coils?: AddressRange;
  readonly discrete?: AddressRange;
  readonly expect?: number;
  readonly all?: boolean;
  readonly watch?: boolean;
  readonly writeConfig?: boolean;
  readonly inFlight?: boolean;
  readonly json?: boolean;
};
type Kind = keyof typeof readFunctionCodes;
type Probe = {
  readonly url: string;
  readonly kind: Kind;
  readonly range: AddressRange;
  readonly options: ProbeOptions;
};

/** Defines `andon probe`. */
export function defineProbe(command: Command): void {
  const registers = numberRange(0, ADDRESS_MAX, REGISTERS_MAX);
  const bits = numberRange(0, ADDRESS_MAX, BITS_MAX);
  command
    .argument(
      '<url>',
      'a Modbus device: tcp://host:port, rtu+tcp://host:port, serial:///dev/ttyUSB0?baudRate=19200&parity=even',
      modbusUrl,
    )
    .option('--unit <n>', 'unit id, 0-255', unitId, 1)
    .option('--holding <a-b>', 'holding registers, addresses as on the wire', registers)
    .option('--input <a-b>', 'input registers', registers)
    .option('--coils <a-b>', 'coils', bits)
    .option('--discrete <a-b>', 'discrete inputs', bits)
    .option(
      '--expect <v>',
      'a value known to be there, as on the display; compares several reads, what fits comes first',
      finiteNumber,
    )
    .option('--all', 'also combinations of type and byte order that no vendor uses')
    .addOption(new Option('--watch', 'read every second and print what changed').conflicts(['json', 'writeConfig']))
    .addOption(
      new Option(
        '--write-config',
        'print a tags section for the configuration, each register once with its likely type',
      ).conflicts('json'),
    )
    .addOption(
      new Option(
        '--in-flight',
        'find how many requests the device answers when they are sent together (requestsInFlight)',
      ).conflicts(['expect', 'watch', 'writeConfig']),
    )
    .addOption(jsonOption)
    .action(
      runs((url: string, options: ProbeOptions, output: Output) => {
        const { holding, input, coils: coil, discrete } = options;
        const kinds = Object.entries({ holding, input, coil, discrete }) as [Kind, AddressRange | undefined][];
        const blocks = kinds.flatMap(([kind, block]) => (block === undefined ? [] : [{ kind, range: block }]));
        const [block] = blocks;
        if (block === undefined || blocks.length > 1)
          return command.error('error: name one block: --holding, --input, --coils or --discrete');
        if (options.expect !== undefined && isBits(block.kind))
          return command.error('error: --expect is for registers; a bit is 0 or 1');
        if (options.inFlight === true && !url.startsWith('tcp'))
          return command.error(
            'error: --in-flight is for tcp:// only: without transaction ids one request is in flight',
          );
        const probe = { url, ...block, options };
        return options.inFlight === true ? probeInFlight(probe, output) : probeCommand(probe, output);
      }),
    );
}

/** `andon probe --in-flight`. @returns 0; a device that does not answer a single request is an `OperatingError`. */
async function probeInFlight(probe: Probe, output: Output): Promise<number> {
  const deps = systemDeps();
  using connection = new ProbeConnection(parseModbusUrl(probe.url), deps);
  const request = requestOf(probe);
  await connection.read(request);
  const trials: InFlightTrial[] = [];
  const { json } = probe.options;
  const proposal = await tryInFlight(connection, request, deps.clock, (trial) => {
    trials.push(trial);
    if (json !== true) output.out(trialText(trial));
  });
  if (json === true) output.out(JSON.stringify({ ok: true, url: probe.url, trials, requestsInFlight: proposal ?? 1 }));
  else output.out(`\nrequestsInFlight: ${proposal ?? 1}`);
  return 0;
}

function trialText({ inFlight, requestsPerSecond, failure }: InFlightTrial): string {
  const what = `${String(inFlight).padStart(2)} in flight: `;
  return failure === undefined
    ? `${what}${requestsPerSecond} requests/s`
    : `${what}not answered completely: ${failure}`;
}

/** `andon probe`. @returns 0; a device that refuses or does not answer is an `OperatingError`. */
async function probeCommand(probe: Probe, output: Output): Promise<number> {
  const deps = systemDeps();
  const request = requestOf(probe);
  using connection = new ProbeConnection(parseModbusUrl(probe.url), deps);
  const reads = [await connection.read(request)];
  const { watch, expect: expected, writeConfig } = probe.options;
  const compares = !isBits(probe.kind) && watch !== true && (expected !== undefined || writeConfig === true);
  const wanted = compares ? READS : 1;
  const stop = new AbortController();
  if (watch === true) process.once('SIGINT', () => stop.abort());
  while (reads.length < wanted) {
    // oxlint-disable-next-line no-await-in-loop -- one read after the other
    await sleep(deps.clock, READS_INTERVAL_MS, stop.signal);
    // oxlint-disable-next-line no-await-in-loop -- as above
    reads.push(await connection.read(request));
  }
  show(probe, reads, output);
  if (watch !== true) return 0;

  let shownFits: string | undefined;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    await sleep(deps.clock, WATCH_INTERVAL_MS, stop.signal);
    if (stop.signal.aborted) return 0;
    // oxlint-disable-next-line no-await-in-loop -- as above
    reads.push(await connection.read(request));
    if (reads.length > READS_KEPT) reads.shift();
    const changes = changedRows(probe, reads);
    const fits = fitsTable(fitsOf(probe, reads));
    const hasNewFits = expected !== undefined && fits !== shownFits;
    shownFits = fits;
    if (changes === undefined && !hasNewFits) continue;
    output.out(`\n${new Date(deps.clock.nowMs()).toISOString()}`);
    if (hasNewFits) output.out(`${fits}\n`);
    if (changes !== undefined) output.out(changes);
  }
}

function requestOf({ kind, range: { first, last }, options }: Probe): ReadRequest {
  return { unitId: options.unit, functionCode: readFunctionCodes[kind], address: first, count: last - first + 1 };
}

function show(probe: Probe, reads: readonly (readonly number[])[], output: Output): void {
  const { url, kind, range: block, options } = probe;
  const { expect: expected, unit } = options;
  const values = reads.at(-1) ?? [];
  const registers = isBits(kind) ? [] : readings(values, block.first);
  const shown = fitsOf(probe, reads);
  const fits = shown.filter(({ difference }) => difference <= FIT_DIFFERENCE_MAX);
  if (options.json === true) {
    const bits = values.map((value, index) => ({ address: block.first + index, value: value === 1 }));
    const found = isBits(kind) ? { bits } : { registers, ...(expected === undefined ? {} : { expected, fits }) };
    output.out(JSON.stringify({ ok: true, url, unit, kind, ...found }));
    return;
  }
  if (expected !== undefined && fits.length === 0)
    output.err(`andon: nothing is within ${FIT_DIFFERENCE_MAX * 100} % of ${expected}; the nearest follow`);
  if (options.writeConfig === true) return output.out(tagsSection(probe, fits, reads));
  if (shown.length > 0) output.out(`${fitsTable(shown)}\n`);
  if (fits.length > 1) output.out('Several fit. --watch compares them while the process moves.\n');
  if (isBits(kind)) {
    const rows = values.map((value, index) => [String(block.first + index), String(value)]);
    output.out(table(['address', 'value'], rows));
    return;
  }
  output.out(registerTables(registers, options.all === true));
  const codes = registers.flatMap(({ address, uint16 }) =>
    SUSPECT_WORDS.has(uint16) ? [`${address} (0x${uint16.toString(16).toUpperCase()})`] : [],
  );
  if (codes.length > 0) output.out(`\nUsually "not available": ${codes.join(', ')}. ${INVALID_ADVICE}.`);
}

/** Returns the fits to show: those within the limit, and at least three. */
function fitsOf({ kind, range: block, options }: Probe, reads: readonly (readonly number[])[]): readonly Fit[] {
  if (options.expect === undefined || isBits(kind)) return [];
  const all = reads.map((values) => readings(values, block.first));
  const ranked = rankFits(all, options.expect, options.all).slice(0, FITS_SHOWN);
  return ranked.filter(({ difference }, index) => difference <= FIT_DIFFERENCE_MAX || index < FITS_SHOWN_MIN);
}

/** Returns the rows whose value has changed since the read before; undefined if there are none. */
function changedRows(
  { kind, range: block, options }: Probe,
  reads: readonly (readonly number[])[],
): string | undefined {
  const [before = [], values = []] = reads.slice(-2);
  const hasChanged = (index: number): boolean => before[index] !== values[index];
  if (isBits(kind)) {
    const rows = values.flatMap((value, index) =>
      hasChanged(index) ? [[String(block.first + index), String(value), '*']] : [],
    );
    return rows.length === 0 ? undefined : table(['address', 'value', ''], rows);
  }
  const changed = readings(values, block.first).filter((_, index) => hasChanged(index));
  return changed.length === 0 ? undefined : overview(changed, options.all === true, '*');
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

/** @param mark Mark at the end of each row. */
function overview(registers: readonly Reading[], all: boolean, mark: string): string {
  const rows = registers.map((reading) => [
    String(reading.address),
    String(reading.uint16),
    String(reading.int16),
    reading.hex,
    ...byteOrders.map((byteOrder) => valueOf(reading, 'float32', byteOrder, all)),
    mark,
  ]);
  return table(['address', 'uint16', 'int16', 'hex', ...byteOrders.map((order) => `float32 ${order}`), ''], rows);
}

function registerTables(registers: readonly Reading[], all: boolean): string {
  const types = all ? allTypes : wideTypes;
  const others = registers.flatMap((reading) =>
    (all ? probedOrders : byteOrders)
      .map((order) => [String(reading.address), order, ...types.map((type) => valueOf(reading, type, order, all))])
      .filter((row) => row.slice(2).some((cell) => cell !== '')),
  );
  const tables = [
    overview(registers, all, ''),
    ...(others.length === 0 ? [] : [table(['address', 'order', ...types], others)]),
  ];
  return tables.join('\n\n');
}

/** Types of more than one register, of the vendors. */
const wideTypes = ['int32', 'uint32', 'bcd32', 'int64', 'uint64', 'float64'] as const;

/** An 8-bit value is the low byte, in BADC and DCBA the high one. */
const allTypes = ['int8', 'uint8', 'int16', 'uint16', 'float16', 'bcd16', ...wideTypes] as const;

/** Returns '' for a value that is not likely, unless all are to be shown. */
function valueOf(reading: Reading, type: ValueType, byteOrder: ProbedOrder, all: boolean): string {
  const found = reading.interpretations.find((way) => way.type === type && way.byteOrder === byteOrder);
  if (found === undefined) return '';
  return all || (isUsual(type, byteOrder) && isPlausible(type, found.value)) ? number(found.value) : '';
}

/** Whole numbers in full, others with six digits. */
function number(value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? value.toPrecision(6) : String(Number(value.toPrecision(6)));
}

/** @param fits The best becomes a tag, the others become comments; without one there is a tag for every register or bit. */
function tagsSection(
  { kind, range: { first } }: Probe,
  fits: readonly Fit[],
  reads: readonly (readonly number[])[],
): string {
  if (fits.length > 0) {
    const tags = fits.map(({ address, type, byteOrder, scale }, index) => {
      const scaled = scale === 1 ? '' : `, scale: ${scale}`;
      const tag = `{ register: ${kind}, address: ${address}, type: ${type}${orderKey(type, byteOrder)}${scaled} }`;
      return `  ${index === 0 ? '' : '# or: '}${kind}-${address}: ${tag}`;
    });
    return ['tags:', ...tags].join('\n');
  }
  if (isBits(kind)) {
    const bits = (reads.at(-1) ?? []).map((_, index) => {
      return `  ${kind}-${first + index}: { register: ${kind}, address: ${first + index}, type: bool }`;
    });
    return ['tags:', ...bits].join('\n');
  }
  const tags = likelyTags(reads, first).map(({ address, type, byteOrder, length, remark }) => {
    const size = length === undefined ? '' : `, length: ${length}`;
    return `  ${kind}-${address}: { register: ${kind}, address: ${address}, type: ${type}${size}${orderKey(type, byteOrder)} } # ${remark}`;
  });
  return ['tags: # likely types; compare the values with the manual', ...tags].join('\n');
}

/** Returns the key for the byte order of a value of more than one register. */
function orderKey(type: ValueType | 'string', byteOrder: ProbedOrder): string {
  return type === 'string' || (registersOf(type) === 1 && byteOrder === 'ABCD') ? '' : `, byteOrder: ${byteOrder}`;
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
