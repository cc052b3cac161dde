import type { ModelStatus } from '../contracts/inference.ts';
import type { ExactModel } from '../contracts/model-registry.ts';
import type { AnyManifest } from '../contracts/model-manifest.ts';
import { judgesWindows } from '../contracts/manifest-kind.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { manifestFindings } from './config-model-checks.ts';
import type { AgentConfig } from './config-schema.ts';
import { agentTags } from './config-tags.ts';

/** Returns the reasons why watches of the active version cannot use this version of the model. Empty if all can. */
export function watchIncompatibilities(config: AgentConfig, manifest: AnyManifest): readonly string[] {
  const name = formatModelReference(manifest);
  const units = new Map(agentTags(config).map((tag) => [tag.name, tag.unit]));
  return Object.entries(config.watches)
    .filter(([, { model }]) => model.name === manifest.name && model.version === undefined)
    .flatMap(([id, watch]) => {
      if (!judgesWindows(manifest)) return [`watch '${id}': ${name} does not judge windows`];
      return manifestFindings({ path: [], name, manifest, watch, units })
        .filter(({ severity }) => severity === 'error')
        .map(({ message }) => `watch '${id}': ${message}`);
    });
}

export type ModelUse = ExactModel & { readonly by: string };

/** Returns the versions that watches name, and those that the running agent has loaded. */
export function modelUses(
  { watches }: Pick<AgentConfig, 'watches'>,
  loaded: readonly Pick<ModelStatus, 'name' | 'version'>[],
): readonly ModelUse[] {
  const named = Object.entries(watches).flatMap(([id, { model, shadow, canary }]) =>
    [model, shadow, canary].flatMap((reference) =>
      reference?.version === undefined
        ? []
        : [{ name: reference.name, version: reference.version, by: `watch '${id}' uses it` }],
    ),
  );
  return [...named, ...loaded.map(({ name, version }) => ({ name, version, by: 'the running agent has it loaded' }))];
}
