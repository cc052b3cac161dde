import type { ModelReference } from '../domain/model/model-reference.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { type Clock, sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { inferenceHostEntry } from '../platform/entries.ts';

const LOOK_MS = 20;

/** Resolves when no model of a host is loading. */
export async function loaded(host: Pick<SupervisedInferenceHost, 'statuses'>, clock: Clock): Promise<void> {
  while (host.statuses().some(({ state }) => state === 'loading')) await sleep(clock, LOOK_MS);
}

/** Loads models in a separate host, including their golden vectors, and returns the result of each. */
export async function probeModels(
  config: ModelsConfig,
  models: readonly ModelReference[],
  deps: Deps,
): Promise<readonly ModelStatus[]> {
  if (models.length === 0) return [];
  await using host = new SupervisedInferenceHost({ entry: inferenceHostEntry, config, models, deps });
  host.start();
  await loaded(host, deps.clock);
  return host.statuses();
}
