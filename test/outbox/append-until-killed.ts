import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Outbox } from '../../src/outbox/outbox.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import type { RecordDraft } from '../../src/domain/record/record.ts';
import { testDeps } from '../support/test-deps.ts';

/*
 * Run as a process of its own: appends to <folder>/outbox.db without end, several calls at once, and writes each
 * record's id to standard output, unbuffered, as soon as it is told that the record is stored.
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
    writeSync(1, ids.map((id) => `${id}\n`).join(''));
  }
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
