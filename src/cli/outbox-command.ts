import { loadConfig } from '../config/config-file.ts';
import { recordInterests } from '../app/record-interests.ts';
import type { OutboxStats } from '../contracts/record-store.ts';
import { formatByteSize } from '../domain/byte-size.ts';
import { recordJson, type RecordKind } from '../domain/record/record.ts';
import { exportRecords, outboxStats } from '../outbox/records/outbox-reader.ts';
import type { Output } from './output/output.ts';
import { table } from './output/table.ts';

export type OutboxStatsOptions = { readonly config: string; readonly json?: boolean };
export type OutboxExportOptions = {
  readonly config: string;
  readonly from?: number;
  readonly kind?: readonly RecordKind[];
};

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
  const rows = uplinks.map(({ uplink, waiting, acknowledgedSequence, oldestWaitingMs }) => [
    uplink,
    String(waiting),
    time(oldestWaitingMs),
    String(acknowledgedSequence),
  ]);
  return `${path}
  records       ${records}, the oldest of ${time(oldestMs)}
  size          ${formatByteSize(bytes)} of ${formatByteSize(bytesMax)}${hoursLeft === undefined ? '' : `, full in ${Math.round(hoursLeft)} h at the present rate`}
  dead letters  ${deadLetters}
  lost          ${lost}
${uplinks.length === 0 ? 'There is no uplink: records stay here until outbox.retention.' : table(['uplink', 'waiting', 'oldest (UTC)', 'acknowledged up to'], rows)}`;
}

function time(epochMs: number | undefined): string {
  return epochMs === undefined ? '–' : new Date(epochMs).toISOString().slice(0, 19);
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
