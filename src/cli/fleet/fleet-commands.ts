import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  boxesCommand,
  desiredCommand,
  enrolCommand,
  labelsCommand,
  revokeCommand,
  showCommand,
} from './fleet-client-commands.ts';
import { fleetInitCommand } from './fleet-init.ts';
import { fleetServeCommand } from './fleet-serve.ts';
import { jsonOption, positiveNumber, runs } from '../output/command.ts';

export const fleetConfigOption = new Option('-c, --config <file>', 'configuration of the fleet service').default(
  '/etc/andon/fleet.yaml',
);

/** Defines `andon fleet …`. */
export function defineFleet(fleet: Command): void {
  const command = (name: string, description: string) =>
    fleet.command(name).description(description).addOption(fleetConfigOption).addOption(jsonOption);
  fleet
    .command('init')
    .description('writes keys, a configuration of the fleet service and one of its NATS server into an empty folder')
    .argument('<folder>')
    .option('--nats <address>', 'address of the NATS server', '127.0.0.1:4222')
    .option('--box-url <url>', 'URL of the NATS server for boxes, if it is not nats://ADDRESS')
    .option('--tls-cert <file>', 'certificate of the NATS server')
    .option('--tls-key <file>', 'key of the certificate')
    .addOption(jsonOption)
    .action(runs(fleetInitCommand));
  fleet
    .command('serve')
    .description('the fleet service: HTTP API for boxes, enrolment and desired states')
    .addOption(fleetConfigOption)
    .action(runs(fleetServeCommand));
  command('boxes', 'all boxes with state, version and health')
    .option('--labels <list>', 'only boxes with these labels: site=lyon,line=2')
    .action(runs(boxesCommand));
  command('show', 'what a box should have, and what it reports').argument('<box>').action(runs(showCommand));
  command('enrol', 'a token with which a box can be enrolled once')
    .argument('<box>', 'agent.id of the box')
    .option('--valid-hours <n>', 'hours that the token is valid', positiveNumber, 24)
    .action(runs(enrolCommand));
  command('revoke', 'ends the credentials and the connection of a box').argument('<box>').action(runs(revokeCommand));
  command('labels', 'replaces the labels of a box')
    .argument('<box>')
    .argument('<labels...>', 'name=value')
    .action(runs(labelsCommand));
  command('desired', 'sets what boxes should have: the given models and configuration, and nothing else of before')
    .argument('<boxes...>', 'names of boxes')
    .option('--model <package>', 'archive of a model package (.tgz); may be repeated', collected, [])
    .option('--configuration <file>', 'configuration with ${names} for values that differ between boxes')
    .option('--set <name=value>', 'value of a name in the configuration; may be repeated', collectedPair, {})
    .option('--keep', 'keeps the models and the configuration of before that are not given')
    .action(runs(desiredCommand));
}

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function collectedPair(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError(`expected name=value, not '${text}'`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
