import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { Deps } from '../../platform/deps.ts';
import type { FallbackModel } from '../remote/fallback-model.ts';
import { RemoteModel } from '../remote/remote-model.ts';
import type { ModelSlot } from './model-slot.ts';

/** Returns the local model that runs if a remote version cannot; undefined if there is none. */
export type FallbackFor = (slot: ModelSlot, stored: StoredModel) => FallbackModel | undefined;

/** Proves and runs a version on the server that it names, outside every inference host. */
export function connectRemote(
  slot: ModelSlot,
  stored: StoredModel,
  options: { readonly config: ModelsConfig; readonly fallbackFor?: FallbackFor; readonly deps: Deps },
): void {
  const server = stored.manifest.remote;
  if (server === undefined) return;
  const { config, deps, fallbackFor } = options;
  slot.connect(stored, (owner) => {
    const fallback = fallbackFor?.(slot, stored);
    return new RemoteModel({ owner, stored, server, config, fallback, deps });
  });
}
