import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapSpaceStatistics } from 'node:v8';
import { threadId } from 'node:worker_threads';

/*
 * Loaded into every process and thread of an agent (`--import`): makes objects that live for long enough to let the
 * young generation grow as far as it may, and notes how large it was.
 */
const OBJECTS = 600_000;
const ALIVE = 150_000;

const alive = new Map<number, object>();
const sizes: number[] = [];
for (let index = 0; index < OBJECTS; index += 1) {
  alive.set(index % ALIVE, { values: [index, index + 1], text: `x${index}` });
  if (index % 5_000 === 0) sizes.push(youngBytes());
}
alive.clear();
// While it copies, V8 may hold more for a moment; half of the time it does not.
const bytes = sizes.toSorted((a, b) => a - b)[Math.floor(sizes.length / 2)];
const isModelServer = process.argv[1]?.includes('hosts/model-server') === true;
const report = { pid: process.pid, isModelServer, threadId, bytes };
writeFileSync(
  join(new URL(import.meta.url).searchParams.get('folder') ?? '.', `${process.pid}-${threadId}.json`),
  JSON.stringify(report),
);

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
}
