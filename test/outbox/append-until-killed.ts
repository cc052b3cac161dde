import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Outbox } from '../../src/outbox/outbox.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import type { RecordDraft } from '../../src/domain/record/record.ts';
import { errorCode } from '../../src/platform/errors.ts';
import { testDeps } from '../support/test-deps.ts';

/*
 * Runs as its own process. Appends to <folder>/outbox.db without end, 8 calls at a time, and writes the id of each
 * record to standard output, unbuffered, as soon as the outbox reports the record as stored.
 */
const folder = process.argv[2] ?? '';
const outbox = new Outbox({
  agentId: 'edge-01',
  entry: new URL('../../src/hosts/storage-worker.ts', import.meta.url),
  config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db'), commitInterval: '1ms', commitRowsMax: 20 }),
  uplinks: [{ id: 'cloud', kinds: ['alarm', 'verdict', 'sample', 'loss'] }],
  deps: testDeps(),
});
await outbox.start();
let number = 0;

/** Writes before it returns. A full pipe (EAGAIN) waits for its reader. */
function print(text: string): void {
  for (let bytes = Buffer.from(text); bytes.length > 0;)
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
}

async function appendForEver(): Promise<never> {
  for (;;) {
    number += 1;
    const draft: RecordDraft = {
      kind: 'verdict',
      timestampMs: number,
      watch: 'pump-1',
      body: { number },
      alarm: undefined,
    };
    const ids = await outbox.append([draft, { ...draft, kind: 'sample', watch: '' }]);
    print(ids.map((id) => `${id}\n`).join(''));
  }
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
