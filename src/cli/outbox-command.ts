import { type Command, Option } from 'commander';
import { configOption, positiveNumber, runs, subcommand } from './output/command.ts';
import { loadConfig } from '../config/config-file.ts';
import { recordInterests } from '../app/record-interests.ts';
import type { OutboxStats } from '../contracts/record-store.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import { channelOf } from '../domain/notify/notify-cursor.ts';
import { recordJson, type RecordKind, recordKinds } from '../domain/record/record.ts';
import { exportRecords, outboxStats } from '../outbox/records/outbox-reader.ts';
import { rewindUplink } from '../outbox/records/outbox-rewind.ts';
import { OperatingError } from '../platform/errors.ts';
import { type Output, printResult } from './output/output.ts';
import { table } from './output/table.ts';

export type OutboxStatsOptions = { readonly config: string; readonly json?: boolean };
export type OutboxExportOptions = {
  readonly config: string;
  readonly from?: number;
  readonly kind?: readonly RecordKind[];
};

/** Defines `andon outbox stats | export | rewind`. */
export function defineOutbox(outbox: Command): void {
  subcommand(outbox, 'stats', 'records waiting for each uplink, and hours until the outbox is full').action(
    runs(outboxStatsCommand),
  );
  outbox
    .command('export')
    .description('records as JSON lines, oldest first')
    .addOption(configOption)
    .option('--from <sequence>', 'first sequence number', positiveNumber)
    .addOption(new Option('--kind <kinds...>', 'only these').choices([...recordKinds]))
    .action(runs(outboxExportCommand));
  subcommand(outbox, 'rewind', 'makes an uplink send delivered records again; the agent must be stopped')
    .requiredOption('--uplink <id>', 'uplink of the configuration')
    .requiredOption('--from <sequence|time>', 'first record: its sequence number, or an ISO time')
    .action(runs(outboxRewindCommand));
}

/** `andon outbox stats`: reads the file, also while the agent runs. */
export async function outboxStatsCommand(options: OutboxStatsOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config);
  const { path, maxSizeBytes } = config.outbox;
  const stats = await outboxStats({
    path,
    agentId: config.agent.id,
    bytesMax: maxSizeBytes,
    uplinks: recordInterests(config),
  });
  output.out(options.json === true ? JSON.stringify({ path, ...stats }) : describe(path, stats));
  return 0;
}

function describe(path: string, stats: OutboxStats): string {
  const { records, bytes, bytesMax, oldestMs, hoursLeft, deadLetters, lost, uplinks } = stats;
  const channels = uplinks.filter(({ uplink }) => channelOf(uplink) !== undefined);
  const receivers = uplinks.filter(({ uplink }) => channelOf(uplink) === undefined);
  const rows = receivers.map(({ uplink, waiting, acknowledgedSequence, oldestWaitingMs }) => [
    uplink,
    String(waiting),
    time(oldestWaitingMs),
    String(acknowledgedSequence),
  ]);
  return `${path}
  records       ${records}, the oldest of ${time(oldestMs)}
  size          ${formatByteSize(bytes)} of ${formatByteSize(bytesMax)}${hoursLeft === undefined ? '' : `, full in ${timeLeft(hoursLeft)} at the present rate`}
  dead letters  ${deadLetters}
  lost          ${lost}
${channels.map(channelText).join('')}${receivers.length === 0 ? 'There is no uplink: records stay here until outbox.retention.' : table(['uplink', 'waiting', 'oldest (UTC)', 'acknowledged up to'], rows)}`;
}

/** Its cursor is where it reads. What it has read may still wait for a shift or for the service. */
function channelText({ uplink, waiting }: OutboxStats['uplinks'][number]): string {
  const read = waiting === 0 ? 'has read all alarms' : `has not read ${waiting} records of alarms yet`;
  return `  notifications ${channelOf(uplink) ?? uplink} ${read}; 'andon status' has those that wait to be sent\n`;
}

function time(epochMs: number | undefined): string {
  return epochMs === undefined ? '–' : new Date(epochMs).toISOString().slice(0, 19);
}

/** Returns a time left: minutes below two hours, days above two days. */
export function timeLeft(hours: number): string {
  if (hours < 2) return `${Math.round(hours * 60)} min`;
  return hours <= 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} days`;
}

export type OutboxRewindOptions = {
  readonly config: string;
  readonly uplink: string;
  readonly from: string;
  readonly json?: boolean;
};

/** `andon outbox rewind`: the uplink sends delivered records again. The agent must be stopped. */
export async function outboxRewindCommand(options: OutboxRewindOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config, { checkModels: false });
  const { path, maxSizeBytes } = config.outbox;
  const rewound = rewindUplink({
    path,
    agentId: config.agent.id,
    bytesMax: maxSizeBytes,
    uplinks: recordInterests(config),
    uplink: options.uplink,
    from: rewindStart(options.from),
  });
  const { from, fromMs, waiting, waitedBefore } = rewound;
  printResult(output, options, {
    document: { ok: true, uplink: options.uplink, ...rewound },
    text: `Uplink ${options.uplink} sends ${waiting - waitedBefore} delivered records again, from sequence ${from} of ${time(fromMs)}, and ${waitedBefore} that waited. Start the agent.`,
  });
  return 0;
}

function rewindStart(text: string): { readonly sequence: number } | { readonly timeMs: number } {
  if (/^\d{1,15}$/.test(text)) return { sequence: Number(text) };
  const timeMs = Date.parse(text);
  if (!Number.isNaN(timeMs)) return { timeMs };
  throw new OperatingError(
    'rewind-refused',
    'reject',
    `--from: expected a sequence such as 1200, or a time such as 2026-03-02T06:00:00Z, found '${text}'`,
  );
}

/**
 * `andon outbox export`: prints records as JSON lines, the oldest first; may include records stored meanwhile.
 * @returns 1 if a row failed its checksum and was skipped.
 */
export async function outboxExportCommand(options: OutboxExportOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config);
  let damaged = 0;
  const records = exportRecords({
    path: config.outbox.path,
    agentId: config.agent.id,
    ...(options.from === undefined ? {} : { fromSequence: options.from }),
    ...(options.kind === undefined ? {} : { kinds: options.kind }),
    onDamaged: (sequence) => {
      damaged += 1;
      output.err(`record ${sequence} is damaged and left out`);
    },
  });
  for await (const record of records) output.out(recordJson(record));
  return damaged === 0 ? 0 : 1;
}
