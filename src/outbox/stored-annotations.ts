import type { Annotation, AnnotationDraft, AnnotationQuery, Annotations } from '../contracts/operation/annotations.ts';
import type { Clock } from '../platform/clock.ts';
import type { StorageProtocol, StorageReport } from './file/storage-protocol.ts';
import type { WorkerLink } from './worker-link.ts';

/** The annotations, on the agent's main thread. */
export class StoredAnnotations implements Annotations {
  readonly #storage: Pick<WorkerLink<StorageProtocol, StorageReport>, 'call'>;
  readonly #clock: Clock;

  constructor(storage: Pick<WorkerLink<StorageProtocol, StorageReport>, 'call'>, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  add(draft: AnnotationDraft, actor: string): Promise<Annotation> {
    return this.#storage.call('annotate', { draft, actor, nowMs: this.#clock.nowMs() });
  }

  remove(id: string, actor: string): Promise<Annotation | undefined> {
    return this.#storage.call('removeAnnotation', { id, actor, nowMs: this.#clock.nowMs() });
  }

  list(query: AnnotationQuery): Promise<readonly Annotation[]> {
    return this.#storage.call('annotations', { ...query, nowMs: this.#clock.nowMs() });
  }
}
