import type { AgentConfig } from '../config/config-schema.ts';
import { environmentWithSecrets } from '../platform/child-environment.ts';
import type { Deps } from '../platform/deps.ts';
import { modelServerEntry } from '../platform/entries.ts';
import type { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { ModelServer } from '../serving/model-server.ts';
import { changingSettings, modelServerSettings } from './part-settings.ts';
import { Parts } from './parts.ts';

/** Returns the model server as a part, of id `serving`. @param config Returns the configuration in use. */
export function modelServerParts(options: {
  readonly config: () => AgentConfig;
  readonly identity: { readonly agentId: string; readonly version: string };
  readonly localToken: string;
  readonly inference: SupervisedInferenceHost;
  readonly deps: Deps;
}) {
  const { config, identity, localToken, inference, deps } = options;
  return new Parts({
    wanted: (next) => ({ serving: modelServerSettings(next) }),
    create: (settings) =>
      new ModelServer({
        entry: modelServerEntry,
        env: environmentWithSecrets(
          { http: config().http, serving: config().serving, models: config().models },
          settings.serving.environment,
        ),
        settings: { ...identity, ...settings, localToken },
        changing: () => changingSettings(config()),
        agent: {
          models: () => inference.clients.snapshot(),
          run: async ({ model, inputs }) => {
            const result = await inference.clients.run(model, inputs);
            return { ...result, manifest: { ...result.manifest, golden: [] } };
          },
          load: (model) => inference.clients.load(model),
          unload: (model) => inference.clients.unload(model),
        },
        deps,
      }),
  });
}
