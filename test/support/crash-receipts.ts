import { join } from 'node:path';
import type { OutboxStats } from '../../src/contracts/record-store.ts';
import { recordJson, type RecordKind, recordKinds } from '../../src/domain/record/record.ts';
import { exportRecords, outboxStats } from '../../src/outbox/records/outbox-reader.ts';
import type { AgentFolder } from './start-agent.ts';

/** A record as JSON, from any receiver. */
export type SeenRecord = {
  readonly id: string;
  readonly kind: RecordKind;
  readonly timestamp_ms: number;
  readonly [field: string]: unknown;
};

/** Every record in the outbox of a folder, oldest first, as its agent would send it. */
export async function outboxRecords(folder: AgentFolder): Promise<readonly SeenRecord[]> {
  const damaged: number[] = [];
  const records: SeenRecord[] = [];
  const path = join(folder.path, 'outbox.db');
  for await (const record of exportRecords({ path, agentId: 'edge', onDamaged: (sequence) => damaged.push(sequence) }))
    records.push(JSON.parse(recordJson(record)));
  if (damaged.length > 0) throw new Error(`Rows ${damaged.join(', ')} fail their checksum`);
  return records;
}

/** How the outbox of a folder stands with the uplinks, each of which wants all kinds. */
export function statsOf(folder: AgentFolder, uplinks: readonly string[]): Promise<OutboxStats> {
  return outboxStats({
    path: join(folder.path, 'outbox.db'),
    agentId: 'edge',
    bytesMax: 1e9,
    uplinks: uplinks.map((id) => ({ id, kinds: recordKinds })),
  });
}

/** `<agent>/<epoch>/<sequence>`, taken apart. */
export function placeOf(id: string): { readonly epoch: string; readonly sequence: number } {
  const [, epoch = '', sequence = ''] = id.split('/');
  return { epoch, sequence: Number(sequence) };
}

/** Ids that were given to two different records, among all that was seen anywhere. */
export function idsUsedTwice(...seen: readonly (readonly SeenRecord[])[]): readonly string[] {
  const texts = new Map<string, string>();
  const twice = new Set<string>();
  for (const record of seen.flat()) {
    const text = JSON.stringify(record);
    if ((texts.get(record.id) ?? text) !== text) twice.add(record.id);
    texts.set(record.id, text);
  }
  return [...twice];
}

/** Sequences from 1 on that are missing and no loss record speaks of, as `epoch/sequence`; they go on from epoch to epoch. */
export function unexplainedGaps(records: readonly SeenRecord[]): readonly string[] {
  const lost = records.filter(({ kind }) => kind === 'loss');
  const isLost = (epoch: string, sequence: number) =>
    lost.some((loss) => loss['epoch'] === epoch && Number(loss['from']) <= sequence && sequence <= Number(loss['to']));
  const gaps: string[] = [];
  let next = 1;
  for (const [epoch, group] of Map.groupBy(records, ({ id }) => placeOf(id).epoch)) {
    const sequences = new Set(group.map(({ id }) => placeOf(id).sequence));
    const last = Math.max(...sequences);
    for (let sequence = next; sequence <= last; sequence += 1)
      if (!sequences.has(sequence) && !isLost(epoch, sequence)) gaps.push(`${epoch}/${sequence}`);
    next = last + 1;
  }
  return gaps;
}

/** Ids that came before an older one of their epoch, counting first arrivals only. */
export function arrivedTooEarly(records: readonly SeenRecord[]): readonly string[] {
  const newest = new Map<string, number>();
  const seen = new Set<string>();
  const early: string[] = [];
  for (const { id } of records) {
    if (seen.has(id)) continue;
    seen.add(id);
    const { epoch, sequence } = placeOf(id);
    if (sequence < (newest.get(epoch) ?? 0)) early.push(id);
    newest.set(epoch, Math.max(sequence, newest.get(epoch) ?? 0));
  }
  return early;
}
