import { commandFailure } from '../../app/command-errors.ts';
import type { Command } from 'commander';
import { positiveNumber, runs } from '../output/command.ts';
import { basename, extname } from 'node:path';
import { CsvFile } from '../../csv/csv-file.ts';
import { CsvReplay } from '../../plant/csv-replay.ts';
import { sourcesSection } from '../../plant/replay-sources.ts';
import { sleep } from '../../platform/clock.ts';
import { addCsvOptions, type CsvCommandOptions, notationOf } from '../output/csv-options.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';

const PROGRESS_MS = 2_000;

export type SimulateOptions = CsvCommandOptions & {
  readonly modbus?: string;
  readonly mqtt?: string;
  readonly speed: number;
  readonly loop?: boolean;
};

/** Defines `andon simulate`. */
export function defineSimulate(command: Command): void {
  addCsvOptions(command)
    .argument('<csv>', "a historian's CSV")
    .option('--modbus <url>', 'serve as a Modbus device on tcp://host:port (port 0 takes a free one)')
    .option('--mqtt <url>', 'publish to a broker, one topic a column')
    .option('--speed <n>', 'times as fast as recorded', positiveNumber, 1)
    .option('--loop', 'restart at the end')
    .action(runs(simulateCommand));
}

/**
 * `andon simulate CSV`: replays a historian's file as a live machine, and prints the `sources:` section that reads it.
 * Standard output has the section alone; progress goes to standard error.
 * @returns 0 at the end of the file or after Ctrl-C.
 */
export async function simulateCommand(csv: string, options: SimulateOptions, output: Output): Promise<number> {
  if (options.modbus === undefined && options.mqtt === undefined)
    throw commandFailure(
      'simulate-nowhere',
      'Say where to: --modbus tcp://127.0.0.1:1502, --mqtt mqtt://127.0.0.1:1883, or both',
    );
  const deps = systemDeps();
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());

  const file = await CsvFile.open(csv, { ...notationOf(options), timeColumn: options.time });
  for (const note of file.layout.notes) output.err(`${basename(csv)}: ${note}`);
  const topicPrefix = `simulate/${basename(csv, extname(csv))}`;
  const mqtt = options.mqtt === undefined ? undefined : { url: options.mqtt, topicPrefix };
  const modbus = options.modbus === undefined ? undefined : modbusAddress(options.modbus);
  await using replay = new CsvReplay(file, { speed: options.speed, loop: options.loop === true, modbus, mqtt }, deps);
  const port = await replay.listen();
  const modbusUrl = modbus === undefined ? undefined : `tcp://${modbus.host}:${port ?? modbus.port}`;
  output.out(sourcesSection(file.layout, { modbusUrl, mqtt, speed: options.speed }));

  const ended = replay.run().finally(() => ending.abort());
  while (!ending.signal.aborted) {
    await sleep(deps.clock, PROGRESS_MS, ending.signal);
    const { rows, messagesDropped } = replay.progress;
    output.err(`${rows} rows shown${messagesDropped > 0 ? `, ${messagesDropped} messages found no broker` : ''}`);
  }
  await replay[Symbol.asyncDispose]();
  await ended;
  return 0;
}

function modbusAddress(text: string): { readonly host: string; readonly port: number } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.port === '')
    throw commandFailure(
      'simulate-nowhere',
      `'${text}' is not where a device can listen: expected tcp://127.0.0.1:1502`,
    );
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) };
}
