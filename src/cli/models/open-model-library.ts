import { userInfo } from 'node:os';
import { env } from 'node:process';
import * as z from 'zod';
import type { LoadedConfig } from '../../config/config-file.ts';
import { inferenceHostEntry } from '../../platform/entries.ts';
import { modelUses, watchMisfits } from '../../config/model-watches.ts';
import type { ExactModel } from '../../contracts/model-desk.ts';
import type { HttpConfig } from '../../http/http-config.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { ModelLibrary } from '../../registry/model-library.ts';
import { errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { agentUrl, askAgent } from '../output/agent-request.ts';
import { quietDeps } from '../output/quiet-deps.ts';

const modelsSchema = z.object({ models: z.array(z.object({ name: z.string(), version: z.number() })) });

/** The model directory of a configuration, beside an agent that may be running on it. */
export function openModelLibrary({ config }: Pick<LoadedConfig, 'config'>): ModelLibrary {
  return new ModelLibrary({
    entry: inferenceHostEntry,
    config: config.models,
    inUse: async () => modelUses(config, await loadedModels(config.http)),
    misfits: (manifest) => watchMisfits(config, manifest),
    deps: quietDeps(),
  });
}

/**
 * What the running agent has loaded; nothing where none runs.
 *
 * @throws {OperatingError} 'agent-not-reached' where there may be one, and it does not say.
 */
async function loadedModels(http: HttpConfig): Promise<readonly ExactModel[]> {
  // The port that an agent took by itself is known to nobody here.
  if (listenAddress(http.listen)?.port === 0) return [];
  try {
    return modelsSchema.parse(await askAgent(http, '/api/v1/models')).models;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (errorCode(cause) === 'ECONNREFUSED') return [];
    const reason = error instanceof z.ZodError ? 'its answer is none of an agent' : errorMessage(cause ?? error);
    throw new OperatingError(
      'agent-not-reached',
      'retry',
      `What the agent at ${agentUrl(http)} has loaded is not known: ${reason}`,
      { cause: error },
    );
  }
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
