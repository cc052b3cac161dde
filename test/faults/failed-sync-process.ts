import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { recordKinds } from '../../src/domain/record/record.ts';
import { batchOf } from '../../src/outbox/file/append-batch.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { HistoryStore } from '../../src/outbox/history/history-store.ts';
import { Storage } from '../../src/outbox/storage.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import { faultBytes, faultPosition } from './fault-shim.ts';
import { alarmTransition } from './simulation-alarm.ts';

/*
 * Runs under the shim: `failed-sync-process.ts FOLDER`. Stores three alarms, with their records, and three batches of samples.
 * The sync of the second ones fails until the file was closed. It ends as a killed process does, and prints nothing.
 */
const folder = process.argv[2] ?? '';
const control = openSync(process.env['FAULT_CTL'] ?? '', 'r+');
const config = outboxConfigSchema.parse({ path: join(folder, 'outbox.db') });
const uplinks = [{ id: 'cloud', kinds: recordKinds }];
const storage = new Storage({ agentId: 'edge', config, uplinks, life: 'one', newEpoch: () => 'e1' }).handlers();
const history = new HistoryStore(config).handlers();
const nowMs = 1_800_000_000_000;

void storage.open({ nowMs });
void history.open({ nowMs });
for (const number of [1, 2, 3]) {
  if (number === 2) {
    failSync(-1);
    if (isStored(number, false)) throw new Error('a commit whose sync fails is not refused');
    failSync(0);
    void storage.upkeep({ nowMs, idle: false });
    void history.upkeep({ nowMs, idle: false });
  }
  if (!isStored(number, number === 2)) throw new Error(`number ${number} is refused`);
}
process.kill(process.pid, 'SIGKILL');

/** @returns False if storage and history both refuse for now. */
function isStored(number: number, isRetry: boolean): boolean {
  const draft = { timestampMs: nowMs + number, watch: 'pump', body: { number } };
  const drafts = [
    { kind: 'alarm', ...draft, alarm: alarmTransition(number, nowMs) },
    { kind: 'verdict', ...draft, alarm: undefined },
  ] as const;
  const batch = batchOf(
    drafts,
    drafts.map(({ body }) => JSON.stringify(body)),
  );
  const samples = {
    tags: ['a'],
    counts: [1],
    timesMs: Float64Array.of(nowMs + number),
    values: Float64Array.of(number),
    qualities: Uint8Array.of(0),
  };
  const refused = [
    () => storage.append({ ...batch, number, isRetry }),
    () => history.append({ id: `batch/${number}`, ...samples }),
  ].filter((append) => isRefused(append));
  if (refused.length === 1) throw new Error('only one of both is refused');
  return refused.length === 0;
}

function isRefused(call: () => unknown): boolean {
  try {
    const outcome = call() as { readonly ids?: readonly unknown[] } | undefined;
    return outcome?.ids?.includes(undefined) ?? false;
  } catch (error) {
    if (error instanceof OperatingError) return true;
    throw error;
  }
}

function failSync(value: number): void {
  writeSync(control, faultBytes(value), 0, 8, faultPosition('fsyncEio'));
}
