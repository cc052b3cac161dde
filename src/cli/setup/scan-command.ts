import { extname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { tagFileText } from '../../config/config-tag-files.ts';
import { formatDuration, parseDurationMs } from '../../domain/duration.ts';
import { sleep } from '../../platform/clock.ts';
import { configObject } from '../../platform/config-fields.ts';
import { mqttConnectionOptions, mqttFields, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { modbusUrlProblem, parseModbusUrl } from '../../protocols/modbus/modbus-url.ts';
import {
  type AddressRange,
  registerKinds,
  type ScannedUnit,
  scanLoad,
  type ScanOptions as UnitScan,
  scanUnits,
} from '../../sources/modbus/probe/modbus-scan.ts';
import { ScanConnection } from '../../sources/modbus/probe/scan-connection.ts';
import { topicValues } from '../../sources/mqtt/topic-values.ts';
import { jsonOption, numberRange, runs } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { table } from '../output/table.ts';
import { writeTagFile } from '../output/written-file.ts';

export type ScanOptions = {
  readonly units: AddressRange;
  readonly addresses: AddressRange;
  readonly timeout: number;
  readonly thorough?: boolean;
  readonly topic: string;
  readonly for: number;
  readonly writeTags?: string;
  readonly json?: boolean;
};

/** Parts of a refused block that are still read on their own; smaller islands of registers are found with --thorough. */
const PART_MIN = 4;
const TOPICS_MAX = 10_000;
const SAMPLE_SHOWN_MAX = 60;

/** Defines `andon scan`. */
export function defineScan(command: Command): void {
  command
    .argument(
      '<url>',
      'tcp://host:port, rtu+tcp://host:port, serial:///dev/ttyUSB0?baudRate=19200, or mqtt://host:1883',
    )
    .option('--units <a-b>', 'unit ids', numberRange(1, 247), { first: 1, last: 247 })
    .option('--addresses <a-b>', 'addresses as on the wire', numberRange(0, 65_535), { first: 0, last: 999 })
    .option('--timeout <duration>', 'longest wait for a response', durationMs, 500)
    .option('--thorough', 'also finds single registers among refused ones; needs many more requests')
    .option('--topic <filter>', 'topics of a broker', '#')
    .option('--for <duration>', 'how long to listen to a broker', durationMs, 10_000)
    .option('--write-tags <file>', "write what was found as a CSV file for 'tags: { file: … }'")
    .addOption(jsonOption)
    .action(runs(scanCommand));
}

/** `andon scan URL`. @returns 1 if nothing was found. */
export async function scanCommand(url: string, options: ScanOptions, output: Output): Promise<number> {
  if (/^(mqtts?|wss?):/.test(url)) return scanBroker(url, options, output);
  if (url.startsWith('opc.tcp:'))
    throw new InvalidArgumentError('add the server as a source of type opcua, then run andon opcua browse NAME');
  const problem = modbusUrlProblem(url);
  if (problem !== undefined) throw new InvalidArgumentError(problem);
  const scan: UnitScan = {
    units: options.units,
    addresses: options.addresses,
    partMin: options.thorough === true ? 1 : PART_MIN,
    onUnit: (unit) => {
      if (unit % 50 === 0) output.err(`unit ${unit}`);
    },
  };
  const load = scanLoad(scan);
  const silentMs = load.units * options.timeout;
  output.err(
    `reads only, one request at a time: at most ${formatDuration(silentMs)} for ${load.units} units that do not answer, and ${load.each} requests for each unit that does`,
  );
  await using connection = await ScanConnection.open(parseModbusUrl(url), options.timeout);
  const units: ScannedUnit[] = [];
  for await (const unit of scanUnits(connection, scan)) units.push(unit);
  printResult(output, options, { document: { url, units }, text: unitsText(units) });
  if (options.writeTags !== undefined)
    for (const unit of units) await writeUnit(options.writeTags, unit, units.length, output);
  return units.length === 0 ? 1 : 0;
}

function unitsText(units: readonly ScannedUnit[]): string {
  if (units.length === 0) return 'No unit answered. Check the address, the line settings and --timeout.';
  const rows = units.map(({ unit, identification, ranges }) => [
    String(unit),
    identification.join(' '),
    ...registerKinds.map((kind) => (ranges[kind] ?? []).map(rangeText).join(', ')),
  ]);
  return table(['unit', 'identification', ...registerKinds], rows);
}

function rangeText({ first, last }: AddressRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

async function writeUnit(path: string, { unit, ranges }: ScannedUnit, units: number, output: Output): Promise<void> {
  const tags = registerKinds.flatMap((kind) =>
    (ranges[kind] ?? []).flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => {
        const address = first + index;
        const type = kind === 'coil' || kind === 'discrete' ? 'bool' : 'uint16';
        return [`unit-${unit}.${kind}-${address}`, { register: kind, address, type }] as const;
      }),
    ),
  );
  // A source reads one unit.
  const suffix = extname(path);
  const file = units === 1 ? path : `${path.slice(0, path.length - suffix.length)}-unit-${unit}${suffix}`;
  await writeTagFile(file, tagFileText(Object.fromEntries(tags)));
  output.err(
    `${tags.length} tags of unit ${unit} are in ${file}: give them names and types (andon probe shows values)`,
  );
}

type Topic = { readonly topic: string; messages: number; sample: string };

async function scanBroker(url: string, options: ScanOptions, output: Output): Promise<number> {
  const deps = systemDeps();
  const config = configObject(mqttFields).parse({ url });
  const clientId = randomClientId(deps.random, 'scan');
  await using connection = new MqttConnection(mqttConnectionOptions(config, { name: 'scan', clientId }), deps);
  output.err(`subscribes to ${options.topic} with QoS 0 for ${formatDuration(options.for)}; publishes nothing`);
  const topics = new Map<string, Topic>();
  connection.subscribe(
    [options.topic],
    (name, payload) => {
      const topic = topics.get(name) ?? { topic: name, messages: 0, sample: '' };
      topic.messages += 1;
      topic.sample = payload.toString('utf8').slice(0, 1000);
      if (topics.size < TOPICS_MAX) topics.set(name, topic);
    },
    0,
  );
  let fault: string | undefined;
  connection.onState((state) => {
    fault = state.connected ? undefined : state.reason;
  });
  connection.start();
  await sleep(deps.clock, options.for);
  if (fault !== undefined) output.err(`andon: ${url}: ${fault}`);
  const found = [...topics.values()].toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
  const rows = found.map(({ topic, messages, sample }) => [topic, String(messages), sample.slice(0, SAMPLE_SHOWN_MAX)]);
  printResult(output, options, {
    document: { url, topics: found },
    text: found.length === 0 ? 'No message arrived.' : table(['topic', 'messages', 'last payload'], rows),
  });
  if (options.writeTags !== undefined) {
    const values = found.flatMap(({ topic, sample }) => topicValues(topic, sample));
    const tags = Object.fromEntries(values.map(({ name, tag }) => [name, tag]));
    await writeTagFile(options.writeTags, tagFileText(tags));
    output.err(`${Object.keys(tags).length} tags are in ${options.writeTags}`);
  }
  return found.length === 0 ? 1 : 0;
}

function durationMs(text: string): number {
  const value = parseDurationMs(text);
  if (value !== undefined && value > 0) return value;
  throw new InvalidArgumentError('expected a duration such as 500ms or 10s');
}
