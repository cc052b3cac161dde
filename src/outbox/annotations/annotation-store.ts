import { randomUUID } from 'node:crypto';
import type { Annotation, AnnotationDraft, AnnotationQuery } from '../../contracts/operation/annotations.ts';
import type { EpochMs } from '../../domain/epoch-ms.ts';
import { OperatingError } from '../../platform/errors.ts';
import { DatabaseKeeper } from '../file/database-keeper.ts';
import type { StoreHealth } from '../file/storage-protocol.ts';
import { AnnotationDatabase } from './annotation-database.ts';

/**
 * The annotations on disk. The file is made with the first annotation. Calls throw {OperatingError} 'outbox-unavailable'
 * (retry) if the file or the disk failed.
 */
export class AnnotationStore {
  readonly #keeper: DatabaseKeeper<AnnotationDatabase>;

  constructor(path: string) {
    this.#keeper = new DatabaseKeeper({ name: 'annotation database', path, open: () => new AnnotationDatabase(path) });
  }

  get health(): StoreHealth {
    const { trouble, quarantined } = this.#keeper;
    const lost = `The annotation database was damaged and was moved to ${quarantined}. A backup may have its annotations`;
    const reason = trouble ?? (quarantined === undefined ? undefined : lost);
    return { status: reason === undefined ? 'ok' : 'degraded', reason };
  }

  takeNotices(): readonly string[] {
    return this.#keeper.takeNotices();
  }

  /** Ends a trouble that is over. */
  probe(nowMs: EpochMs): void {
    if (this.#keeper.trouble === undefined) return;
    try {
      this.#open(nowMs).use(nowMs, (database) => database.probe());
    } catch (error) {
      // `health` has the error.
      if (!(error instanceof OperatingError)) throw error;
    }
  }

  add(draft: AnnotationDraft, actor: string, nowMs: EpochMs): Annotation {
    const annotation = { ...draft, id: randomUUID(), actor, atMs: nowMs, removed: undefined };
    this.#open(nowMs).use(nowMs, (database) => database.add(annotation));
    return annotation;
  }

  remove(id: string, actor: string, nowMs: EpochMs): Annotation | undefined {
    return this.#open(nowMs).use(nowMs, (database) => database.remove(id, { actor, atMs: nowMs }));
  }

  find(query: AnnotationQuery, nowMs: EpochMs): readonly Annotation[] {
    return this.#open(nowMs).read(nowMs, (database) => database.find(query));
  }

  close(): void {
    this.#keeper.close();
  }

  #open(nowMs: EpochMs): DatabaseKeeper<AnnotationDatabase> {
    this.#keeper.ensureOpen(nowMs);
    return this.#keeper;
  }
}
