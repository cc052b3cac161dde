import { commandFailure } from '../../app/command-errors.ts';
import * as z from 'zod';
import type { LoadedConfig } from '../../config/config-file.ts';
import { inferenceHostEntry } from '../../platform/entries.ts';
import { modelUses, watchIncompatibilities } from '../../config/model-watches.ts';
import type { ExactModel } from '../../contracts/model-registry.ts';
import type { AgentConfig } from '../../config/config-schema.ts';
import { OutboxLock } from '../../outbox/file/outbox-lock.ts';
import { listenAddress } from '../../web/listen-address.ts';
import { VersionRegistry } from '../../registry/version-registry.ts';
import { errorMessage, type OperatingError } from '../../platform/errors.ts';
import { agentOf, agentUrl, askAgent, isRefusedConnection, requestFault } from '../output/agent-request.ts';
import { systemDeps } from '../../platform/deps.ts';

/** `incomplete` is missing in the answer of an older agent. */
const loadedSchema = z.object({
  models: z.array(z.object({ name: z.string(), version: z.number() })),
  incomplete: z.string().nullish(),
});

/** The model directory of a configuration; an agent may be running on it. */
export function openRegistry({ config }: Pick<LoadedConfig, 'config'>): VersionRegistry {
  return new VersionRegistry({
    entry: inferenceHostEntry,
    config: config.models,
    audit: config.audit,
    inUse: async () => modelUses(config, await loadedModels(config)),
    incompatibilities: (manifest) => watchIncompatibilities(config, manifest),
    deps: systemDeps(),
  });
}

/**
 * Returns the versions that the running agent has loaded; none if no agent runs.
 *
 * An agent that does not answer may have any version loaded. "No agent runs" therefore needs proof: nothing listens at
 * its address, and the lock of its outbox is free. The lock also covers an agent that starts, stops or could not listen.
 *
 * @throws {OperatingError} 'agent-not-reached' if an agent may be running and its models are unknown.
 */
async function loadedModels(config: AgentConfig): Promise<readonly ExactModel[]> {
  const { http, outbox } = config;
  if (listenAddress(http.listen)?.port === 0) {
    checkNoAgent(outbox.path, 'http.listen has port 0, so its address is unknown');
    return [];
  }
  try {
    const { models, incomplete } = loadedSchema.parse(await askAgent(agentOf(config), '/api/v1/models'));
    if (incomplete === undefined || incomplete === null) return models;
    throw new Error(`its model server: ${incomplete}`);
  } catch (error) {
    const reason = error instanceof z.ZodError ? 'this is not the answer of an andon agent' : requestFault(error);
    if (!isRefusedConnection(error)) throw unknownModels(`${agentUrl(http)}: ${reason}`, error);
    checkNoAgent(outbox.path, `${agentUrl(http)}: ${reason}`);
    return [];
  }
}

function checkNoAgent(outboxPath: string, reason: string): void {
  try {
    if (!OutboxLock.isHeld(outboxPath)) return;
  } catch (error) {
    throw unknownModels(`the lock of ${outboxPath} cannot be read: ${errorMessage(error)}`, error);
  }
  throw unknownModels(`${reason}, but an agent has the outbox ${outboxPath}`);
}

function unknownModels(reason: string, cause?: unknown): OperatingError {
  return commandFailure(
    'agent-not-reached',
    `The versions that the running agent has loaded are unknown (${reason}), so nothing was removed. Check 'andon status', or stop the agent, and try again`,
    { cause },
  );
}
