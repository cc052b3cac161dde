import type { ModelStatus, ReadyModel } from '../contracts/inference.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import { ModelHost, type ModelHostOptions } from './host/model-host.ts';
import type { ModelSlot } from './host/model-slot.ts';
import { formatModelReference, type ModelReference } from '../domain/model/model-reference.ts';

/** A model in the host that it runs in. */
export type Place = { readonly host: ModelHost; readonly slot: ModelSlot };

/** The inference hosts of a process by name, each created when a model first needs it. */
export class HostPool implements AsyncDisposable {
  readonly #options: Omit<ModelHostOptions, 'name'>;
  readonly #hosts = new Map<string, ModelHost>();
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: Omit<ModelHostOptions, 'name'>) {
    this.#options = options;
  }

  get hosts(): readonly ModelHost[] {
    return [...this.#hosts.values()];
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    for (const host of this.#hosts.values()) host.start();
  }

  /** Returns the host with this name; a new one starts with the others. */
  named(name: string): ModelHost {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    const host = new ModelHost({ ...this.#options, name });
    this.#hosts.set(name, host);
    if (this.#state === 'running') host.start();
    return host;
  }

  statuses(): readonly ModelStatus[] {
    return this.hosts.flatMap((host) => host.statuses());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'stopped';
    await Promise.all(this.hosts.map((host) => host[Symbol.asyncDispose]()));
  }
}

/** Returns the model with this reference, or one with another reference that runs this version. */
export function placeOf(places: ReadonlyMap<string, Place>, model: ModelReference): Place | undefined {
  const place = places.get(formatModelReference(model));
  if (place !== undefined || model.version === undefined) return place;
  return [...places.values()].find(
    ({ slot }) => slot.reference.name === model.name && slot.state.last?.stored.version === model.version,
  );
}

/** Returns the model if it can judge windows now. */
export function readyAt(place: Place | undefined): ReadyModel | undefined {
  const ready = place?.host.jobs.ready(place.slot);
  return ready === undefined || !judgesWindows(ready.manifest) ? undefined : { ...ready, manifest: ready.manifest };
}
