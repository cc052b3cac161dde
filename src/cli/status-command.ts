import type { Command } from 'commander';
import { jsonOption, runs } from './output/command.ts';
import * as z from 'zod';
import { loadConfig } from '../config/config-file.ts';
import { watchSummaryJson } from '../contracts/watch-json.ts';
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

const watchesJson = z.object({ watches: z.array(watchSummaryJson) });
type WatchState = z.infer<typeof watchSummaryJson>;

/** Defines `andon status`. */
export function defineStatus(command: Command): void {
  command
    .option('-c, --config <file>', 'configuration of the agent, for its address and token')
    .option('--url <url>', 'of the agent; default: http://127.0.0.1:8080')
    .option('--token-file <file>', 'file with the token of http.token')
    .addOption(jsonOption)
    .action(runs(statusCommand));
}

/**
 * `andon status`: shows the health of the running agent and the state of each watch.
 * @returns 0 if everything is ok, 1 if a component is not.
 * @throws {OperatingError} 'agent-not-reached' (retry).
 */
export async function statusCommand(options: StatusOptions, output: Output): Promise<number> {
  const { health, watches } = await readStatus(options);
  if (options.json === true) output.out(JSON.stringify({ ...health, watches: watches ?? null }));
  else {
    output.out(`${health.agent} (andon ${health.version}): ${health.status}`);
    if (watches === undefined)
      output.out(
        'The states of the watches need a login: run the command as the user of the agent, or give --token-file FILE',
      );
    else if (watches.length > 0)
      output.out(`${table(['watch', 'state', 'since (UTC)', 'reason'], watches.map(watchRow))}\n`);
    const rows = health.components.map(({ name, status, since_ms, reason }) => [
      name,
      status,
      timeText(since_ms),
      reason,
    ]);
    output.out(table(['component', 'status', 'since (UTC)', 'reason'], rows));
  }
  return health.status === 'ok' ? 0 : 1;
}

function watchRow({ watch, state, since_ms, reason, learning }: WatchState): readonly string[] {
  const modes = learning === null ? '' : modesText(learning);
  return [watch, state, timeText(since_ms), [reason, modes].filter((text) => text !== '').join(' ')];
}

/** Returns the states of the machine that were seen while a watch learns; '' without any. */
function modesText({ modes }: NonNullable<WatchState['learning']>): string {
  const byTag = Map.groupBy(modes, ({ tag }) => tag);
  const texts = [...byTag].map(([tag, values]) => {
    const totalMs = values.reduce((sum, { seen_ms }) => sum + seen_ms, 0);
    return `${tag} ${values.map(({ value, name, seen_ms }) => `${name ?? value} (${Math.round((100 * seen_ms) / totalMs)} %)`).join(', ')}`;
  });
  return texts.length === 0 ? '' : `Seen: ${texts.join('; ')}`;
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19);
}

async function readStatus(options: StatusOptions) {
  const config = options.config === undefined ? undefined : (await loadConfig(options.config)).config;
  const known =
    config === undefined
      ? { url: options.url ?? 'http://127.0.0.1:8080', token: undefined, certificate: undefined }
      : agentOf(config, options.url);
  const agent = options.tokenFile === undefined ? known : { ...known, token: readSecret({ file: options.tokenFile }) };
  try {
    const health = await getFromAgent(agent, '/healthz');
    const watches = await getFromAgent(agent, '/api/v1/watches');
    return {
      health: healthJson.parse(await health.body.json()),
      watches: watches.statusCode === 401 ? undefined : watchesJson.parse(await watches.body.json()).watches,
    };
  } catch (error) {
    return agentNotReached(agent.url, error);
  }
}
