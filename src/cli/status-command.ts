import * as z from 'zod';
import { readSecret } from '../platform/config-fields.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import type { Output } from './output/output.ts';
import { table } from './output/table.ts';

const ANSWER_TIMEOUT_MS = 5_000;

const healthSchema = z.object({
  status: z.string(),
  agent: z.string(),
  version: z.string(),
  components: z.array(z.object({ name: z.string(), status: z.string(), reason: z.string(), since_ms: z.number() })),
});

export type StatusOptions = { readonly url: string; readonly tokenFile?: string; readonly json?: boolean };

/**
 * `andon status`: asks the running agent.
 * @returns 0 where everything is ok, 1 where a component is not, or nobody answers.
 */
export async function statusCommand(options: StatusOptions, output: Output): Promise<number> {
  const health = await askHealth(options);
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

async function askHealth(options: StatusOptions): Promise<z.infer<typeof healthSchema>> {
  const token = options.tokenFile === undefined ? undefined : readSecret({ file: options.tokenFile });
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    const answer = await fetch(new URL('/healthz', options.url), {
      headers,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    return healthSchema.parse(await answer.json());
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? errorMessage(error.cause) : errorMessage(error);
    throw new OperatingError(
      'agent-not-reached',
      'retry',
      `No agent answers at ${options.url}: ${cause}. Is it running, and is http.listen that address?`,
      { cause: error },
    );
  }
}
