import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import * as z from 'zod';
import { loadConfig } from '../../config/config-file.ts';
import { writePrivateFile } from '../access/private-file.ts';
import { queryAgent } from '../output/agent-request.ts';
import { runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';

type EnrolOptions = {
  readonly config: string;
  readonly url: string;
  readonly token: string;
  readonly credentials?: string;
  readonly json?: boolean;
};

const answerJson = z.object({ box: z.string(), url: z.string(), jwt: z.string() });

/** Defines `andon agent enrol`. */
export function defineAgent(agent: Command): void {
  subcommand(agent, 'enrol', 'exchanges a token for the credentials of this box; its key never leaves the box')
    .requiredOption('--url <url>', 'of the fleet service')
    .requiredOption('--token <token>', "of 'andon fleet enrol'")
    .option('--credentials <file>', 'file for the credentials; default: fleet.creds next to the configuration')
    .action(runs(enrolCommand));
}

/** `andon agent enrol`. @throws {OperatingError} 'agent-not-reached' (retry). */
async function enrolCommand(options: EnrolOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config, { checkModels: false });
  const file = resolve(options.credentials ?? join(dirname(options.config), 'fleet.creds'));
  const { nkeys } = await import('@nats-io/transport-node');
  const { fmtCreds } = await import('@nats-io/jwt');
  const user = nkeys.createUser();
  const server = { url: options.url, token: undefined, certificate: undefined };
  const body = { token: options.token, box: config.agent.id, public_key: user.getPublicKey() };
  const { box, url, jwt } = await queryAgent(server, '/api/v1/fleet/enrol', answerJson, { method: 'POST', body });
  await writePrivateFile(file, new TextDecoder().decode(fmtCreds(jwt, user)), config.outbox.path);
  const section = { fleet: { url, credentials: { file } } };
  const text = `The credentials of ${box} are in ${file}. Add this section to ${options.config} and reload the agent:\n\n${stringify(section)}`;
  printResult(output, options, { document: { box, ...section }, text });
  return 0;
}
