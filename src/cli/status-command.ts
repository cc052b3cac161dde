import type * as z from 'zod';
import { loadConfig } from '../config/config-file.ts';
import { healthJson } from '../http/api-schemas.ts';
import { readSecret } from '../platform/config-fields.ts';
import { agentNotReached, agentOf, getFromAgent } from './output/agent-request.ts';
import type { Output } from './output/output.ts';
import { table } from './output/table.ts';

export type StatusOptions = {
  readonly config?: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
};

/**
 * `andon status`: shows the health of the running agent.
 * @returns 0 if everything is ok, 1 if a component is not.
 * @throws {OperatingError} 'agent-not-reached' (retry).
 */
export async function statusCommand(options: StatusOptions, output: Output): Promise<number> {
  const health = await readHealth(options);
  if (options.json === true) output.out(JSON.stringify(health));
  else {
    output.out(`${health.agent} (andon ${health.version}): ${health.status}`);
    const rows = health.components.map(({ name, status, since_ms, reason }) => [
      name,
      status,
      new Date(since_ms).toISOString().slice(0, 19),
      reason,
    ]);
    output.out(table(['component', 'status', 'since (UTC)', 'reason'], rows));
  }
  return health.status === 'ok' ? 0 : 1;
}

async function readHealth(options: StatusOptions): Promise<z.infer<typeof healthJson>> {
  const config = options.config === undefined ? undefined : (await loadConfig(options.config)).config;
  const known =
    config === undefined
      ? { url: options.url ?? 'http://127.0.0.1:8080', token: undefined, certificate: undefined }
      : agentOf(config, options.url);
  const agent = options.tokenFile === undefined ? known : { ...known, token: readSecret({ file: options.tokenFile }) };
  try {
    const { body } = await getFromAgent(agent, '/healthz');
    return healthJson.parse(await body.json());
  } catch (error) {
    return agentNotReached(agent.url, error);
  }
}
