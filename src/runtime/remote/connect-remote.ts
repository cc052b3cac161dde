import type { Deps } from '../../platform/deps.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelSlot } from '../host/model-slot.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import type { FallbackModel } from './fallback-model.ts';
import { RemoteModel } from './remote-model.ts';

/** What judges where a remote version cannot; undefined where nothing does. */
export type FallbackFor = (slot: ModelSlot, stored: StoredModel) => FallbackModel | undefined;

/** Has a version proved and run on the server that it names, aside from every inference host. */
export function connectRemote(
  slot: ModelSlot,
  stored: StoredModel,
  options: { readonly config: ModelsConfig; readonly fallbackFor?: FallbackFor; readonly deps: Deps },
): void {
  const server = stored.manifest.remote;
  if (server === undefined) return;
  const { config, deps, fallbackFor } = options;
  slot.connect(stored, () => {
    const fallback = fallbackFor?.(slot, stored);
    return new RemoteModel({ slot, stored, server, config, fallback, deps });
  });
}
