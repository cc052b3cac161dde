import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { recordKinds } from '../../src/domain/record/record.ts';
import { seededRandom } from '../../src/plant/seeded-random.ts';
import { outboxConfigSchema } from '../../src/outbox/file/outbox-config.ts';
import { exportRecords } from '../../src/outbox/records/outbox-reader.ts';
import { batchOf } from '../../src/outbox/file/append-batch.ts';
import { Storage } from '../../src/outbox/storage.ts';

const SECTOR_BYTES = 512;

type Change = {
  /** Write, sync, failed sync, truncation, rename or removal. */
  readonly kind: 'W' | 'S' | 'F' | 'T' | 'R' | 'U';
  readonly path: string;
  readonly offset: number;
  readonly atNs: bigint;
  readonly data: Buffer;
};

/** The changes of files that a process made, in their order. */
export function readChanges(log: string): readonly Change[] {
  const folder = dirname(log);
  const names = readdirSync(folder).filter((name) => name.startsWith(`${basename(log)}.`));
  const changes = names.flatMap((name) => changesIn(readFileSync(join(folder, name))));
  return changes.toSorted((a, b) => (a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0));
}

function changesIn(bytes: Buffer): readonly Change[] {
  const changes: Change[] = [];
  for (let at = 0; at + 33 <= bytes.length;) {
    const kind = String.fromCharCode(bytes[at] ?? 0) as Change['kind'];
    const [pathLength, offset, length] = [1, 9, 17].map((from) => Number(bytes.readBigInt64LE(at + from)));
    const atNs = bytes.readBigInt64LE(at + 25);
    const [pathAt, hasData] = [at + 33, kind === 'W' || kind === 'R'];
    const dataAt = pathAt + (pathLength ?? 0);
    const end = hasData ? dataAt + (length ?? 0) : dataAt;
    // A killed process may leave half an entry.
    if (end > bytes.length) break;
    const data = hasData ? bytes.subarray(dataAt, end) : Buffer.alloc(0);
    changes.push({ kind, path: bytes.toString('utf8', pathAt, dataAt), offset: offset ?? 0, atNs, data });
    at = end;
  }
  return changes;
}

/** Content of a file, which grows by doubling. */
class Content {
  #bytes = Buffer.alloc(0);
  #length = 0;

  apply({ kind, offset, data }: Change): void {
    if (kind === 'T') return this.#resize(offset);
    if (this.#length < offset + data.length) this.#resize(offset + data.length);
    data.copy(this.#bytes, offset);
  }

  copy(): Content {
    const copy = new Content();
    copy.#bytes = Buffer.from(this.bytes);
    copy.#length = this.#length;
    return copy;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #resize(length: number): void {
    if (length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(length, 2 * this.#bytes.length));
      this.bytes.copy(grown);
      this.#bytes = grown;
    } else if (length > this.#length) this.#bytes.fill(0, this.#length, length);
    this.#length = length;
  }
}

type CachedFile = {
  readonly durable: Content;
  pending: Change[];
  /** Writes before a sync that failed. Linux takes them for written, so no later sync makes them durable. */
  failed: Change[];
};

/** Files of a disk with a write cache: what was synced is durable, the rest may or may not be. */
export class CachedDisk {
  readonly #files = new Map<string, CachedFile>();

  apply(change: Change): void {
    const file = this.#files.get(change.path) ?? { durable: new Content(), pending: [], failed: [] };
    if (change.kind === 'R' || change.kind === 'U') this.#files.delete(change.path);
    if (change.kind === 'R') this.#files.set(change.data.toString(), file);
    if (change.kind === 'R' || change.kind === 'U') return;
    this.#files.set(change.path, file);
    if (change.kind === 'S') {
      for (const pending of file.pending.splice(0)) file.durable.apply(pending);
    } else if (change.kind === 'F') file.failed.push(...file.pending.splice(0));
    else file.pending.push(change);
  }

  /** Returns the files after a power cut: of what was not synced, each sector of 512 bytes is there or not by chance. */
  afterCut(random: () => number): ReadonlyMap<string, Buffer> {
    return new Map(
      [...this.#files].map(([path, { durable, pending, failed }]) => {
        const content = durable.copy();
        for (const change of [...failed, ...pending])
          for (const part of sectorsOf(change)) if (random() < 0.5) content.apply(part);
        return [path, content.bytes];
      }),
    );
  }
}

function sectorsOf(change: Change): readonly Change[] {
  if (change.kind === 'T') return [change];
  return Array.from({ length: Math.ceil(change.data.length / SECTOR_BYTES) }, (_, sector) => ({
    ...change,
    offset: change.offset + sector * SECTOR_BYTES,
    data: change.data.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES),
  }));
}

/** Id of a record that someone received, and the monotonic time at which that was certain. */
export type Received = { readonly id: string; readonly atNs: bigint };

export type PowerCuts = {
  readonly cuts: number;
  /** Records that were received before the cut, over all cuts. */
  readonly checked: number;
  readonly lost: readonly string[];
  readonly idsGivenAgain: readonly string[];
};

/**
 * Replays power cuts at random moments, and opens the outbox on what each leaves.
 *
 * @param folder Folder of the outbox, as in the log.
 */
export async function replayPowerCuts(
  log: string,
  folder: string,
  received: readonly Received[],
  cuts: number,
  seed: number,
): Promise<PowerCuts> {
  const changes = readChanges(log);
  const random = seededRandom(seed);
  const [lost, again]: [Set<string>, Set<string>] = [new Set(), new Set()];
  let checked = 0;
  const disk = new CachedDisk();
  const ends = Array.from({ length: cuts }, () => 1 + Math.floor(random() * (changes.length - 1)));
  let done = 0;
  for (const [cut, end] of ends.toSorted((a, b) => a - b).entries()) {
    for (; done < end; done += 1) disk.apply(changes[done] ?? raise());
    const atNs = changes[end - 1]?.atNs ?? 0n;
    const before = received.filter((record) => record.atNs < atNs).map(({ id }) => id);
    const copy = mkdtempSync(join(tmpdir(), 'andon-cut-'));
    try {
      for (const [path, content] of disk.afterCut(random)) {
        // The index of the WAL is memory that SQLite rebuilds.
        if (path.endsWith('-shm') || !path.startsWith(folder)) continue;
        const target = join(copy, path.slice(folder.length));
        mkdirSync(dirname(target), { recursive: true });
        writeFileSync(target, content);
      }
      const next = openAndAppend(copy);
      const stored = new Set<string>();
      for await (const { id } of exportRecords({
        path: join(copy, 'outbox.db'),
        agentId: 'edge',
        onDamaged: () => undefined,
      }))
        stored.add(id);
      for (const id of before) if (!stored.has(id)) lost.add(`cut ${cut}: ${id}`);
      if (next === '' || before.includes(next)) again.add(`cut ${cut}: ${next}`);
      checked += before.length;
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }
  return { cuts, checked, lost: [...lost], idsGivenAgain: [...again] };
}

/** Starts the storage as after the cut, and stores one more record. @returns Its id. */
function openAndAppend(folder: string): string {
  const nowMs = Date.now();
  const handlers = new Storage({
    agentId: 'edge',
    config: outboxConfigSchema.parse({ path: join(folder, 'outbox.db') }),
    uplinks: [{ id: 'cloud', kinds: recordKinds }],
    // No start records.
    life: 'one process',
    newEpoch: (atMs) => `after-${Math.floor(atMs)}`,
  }).handlers();
  void handlers.open({ nowMs });
  for (let slices = 0; slices < 100; slices += 1) {
    const report = handlers.upkeep({ nowMs: nowMs + slices, idle: false });
    if (!('more' in report) || !report.more) break;
  }
  const draft = { kind: 'verdict', timestampMs: nowMs, watch: 'level', body: {}, alarm: undefined } as const;
  const outcome = handlers.append({ number: 0, isRetry: false, ...batchOf([draft], ['{}']) });
  void handlers.close(undefined);
  return ('ids' in outcome ? outcome.ids[0] : undefined) ?? '';
}

function raise(): never {
  throw new Error('the log has fewer changes than it had');
}
