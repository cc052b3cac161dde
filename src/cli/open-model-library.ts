import { userInfo } from 'node:os';
import { env } from 'node:process';
import * as z from 'zod';
import type { LoadedConfig } from '../app/config-file.ts';
import { inferenceHostEntry } from '../app/entries.ts';
import { modelUses, watchMisfits } from '../app/model-watches.ts';
import { ModelLibrary } from '../inference/library/model-library.ts';
import { errorCode } from '../platform/errors.ts';
import { askAgent } from './agent-request.ts';
import { quietDeps } from './quiet-deps.ts';

const modelsSchema = z.object({ models: z.array(z.object({ name: z.string(), version: z.number() })) });

/** The model directory of a configuration, beside an agent that may be running on it. */
export function openModelLibrary({ config }: Pick<LoadedConfig, 'config'>): ModelLibrary {
  return new ModelLibrary({
    entry: inferenceHostEntry,
    config: config.models,
    inUse: async () => {
      // Where no agent runs, none has anything loaded.
      const answer = await askAgent(config.http, '/api/v1/models').catch(() => undefined);
      return modelUses(config, modelsSchema.safeParse(answer).data?.models ?? []);
    },
    misfits: (manifest) => watchMisfits(config, manifest),
    deps: quietDeps(),
  });
}

/** Who gives the command, for the audit log: `cli:root`, or `cli:root (sudo alice)`. */
export function commandActor(): string {
  const sudo = env['SUDO_USER'];
  return sudo === undefined ? `cli:${userName()}` : `cli:${userName()} (sudo ${sudo})`;
}

/** A container may run as a user that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch (error) {
    return `uid ${process.getuid?.() ?? errorCode(error)}`;
  }
}
