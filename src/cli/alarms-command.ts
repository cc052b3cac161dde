import type { Command } from 'commander';
import * as z from 'zod';
import { loadConfig } from '../config/config-file.ts';
import { alarmJson } from '../http/api-schemas.ts';
import { agentOf, queryAgent } from './output/agent-request.ts';
import { runs, subcommand } from './output/command.ts';
import { type Output, printResult } from './output/output.ts';
import { table } from './output/table.ts';
import { commandUser } from './output/command-user.ts';

type AlarmOptions = {
  readonly config: string;
  readonly url?: string;
  readonly comment?: string;
  readonly for?: string;
  readonly json?: boolean;
};
type Alarm = z.infer<typeof alarmJson>;

/** Defines `andon alarms list | ack | shelve | unshelve`. */
export function defineAlarms(alarms: Command): void {
  const add = (name: string, description: string) =>
    subcommand(alarms, name, description).option(
      '--url <url>',
      'URL of the running agent, if it differs from the configuration',
    );
  add('list', 'every alarm and its state; exit 1 if one is active').action(runs(alarmsListCommand));
  const id = ['<alarm>', 'watch/ID, limit/TAG/LEVEL or diagnostic/KIND/ID'] as const;
  add('ack', 'acknowledges an alarm')
    .argument(...id)
    .option('--comment <text>', 'for the record')
    .action(runs((alarm: string, options: AlarmOptions, output: Output) => act('acknowledge', alarm, options, output)));
  add('shelve', 'shelves an alarm; shelving always ends')
    .argument(...id)
    .requiredOption('--for <duration>', 'how long, such as 30m; at most 7d')
    .option('--comment <text>', 'for the record')
    .action(runs((alarm: string, options: AlarmOptions, output: Output) => act('shelve', alarm, options, output)));
  add('unshelve', 'ends the shelving of an alarm')
    .argument(...id)
    .action(runs((alarm: string, options: AlarmOptions, output: Output) => act('unshelve', alarm, options, output)));
}

async function alarmsListCommand(options: AlarmOptions, output: Output): Promise<number> {
  const { alarms } = await ask(options, '/api/v1/alarms', z.looseObject({ alarms: z.array(alarmJson) }));
  const text = alarms.length === 0 ? 'There is no alarm.' : table(HEAD, alarms.map(cells));
  printResult(output, options, { document: { alarms }, text });
  return alarms.some(({ state }) => state !== 'normal') ? 1 : 0;
}

/** Sends a command of the user to the agent, which records who gave it. */
async function act(action: string, alarm: string, options: AlarmOptions, output: Output): Promise<number> {
  const { comment, for: duration } = options;
  const body = {
    by: commandUser(),
    ...(duration === undefined ? {} : { duration }),
    ...(comment === undefined ? {} : { comment }),
  };
  const path = alarm.split('/').map(encodeURIComponent).join('/');
  const changed = await ask(options, `/api/v1/alarms/${path}/${action}`, alarmJson, body);
  printResult(output, options, { document: changed, text: `${alarm} is ${changed.state}: ${changed.message}` });
  return 0;
}

async function ask<Answer>(
  options: AlarmOptions,
  path: string,
  schema: z.ZodType<Answer>,
  body?: object,
): Promise<Answer> {
  const agent = agentOf((await loadConfig(options.config, { checkModels: false })).config, options.url);
  return queryAgent(agent, path, schema, body === undefined ? undefined : { method: 'POST', body });
}

const HEAD = ['alarm', 'state', 'priority', 'since (UTC)', 'message'];

function cells(alarm: Alarm): readonly string[] {
  const { state, priority, timestamp_ms, message } = alarm;
  return [alarm.alarm, state, priority, new Date(timestamp_ms).toISOString().slice(0, 19), message];
}
