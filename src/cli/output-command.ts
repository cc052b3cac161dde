import { type Command, Option } from 'commander';
import { commandFailure } from '../app/command-errors.ts';
import { loadConfig } from '../config/config-file.ts';
import { OutputFactories } from '../config/kinds.ts';
import { outputSettings } from '../app/output-settings.ts';
import { formatDuration, parseDurationMs } from '../domain/duration.ts';
import { nameSome } from '../domain/name-list.ts';
import { modbusTarget } from '../outputs/modbus/modbus-target.ts';
import { mqttTarget } from '../outputs/mqtt/mqtt-target.ts';
import { rulesOf } from '../outputs/output-condition.ts';
import { sleep } from '../platform/clock.ts';
import { systemDeps } from '../platform/deps.ts';
import { protectionProblem } from '../config/files/protected-file.ts';
import { OperatorAudit } from '../web/access/operator-audit.ts';
import { runs, subcommand } from './output/command.ts';
import { commandUser } from './output/command-user.ts';
import { confirm } from './output/confirm.ts';
import { type Output, printResult } from './output/output.ts';

type TestOptions = {
  readonly config: string;
  readonly value: 'on' | 'off' | 'safe';
  readonly for: string;
  readonly yes?: boolean;
  readonly json?: boolean;
};

const FOR_MS_MAX = 60_000;

/** Defines `andon output test`. */
export function defineOutput(output: Command): void {
  subcommand(output, 'test', 'writes one value of an output, and its safe value afterwards; asks first')
    .argument('<name>', 'the output, as in the configuration')
    .addOption(new Option('--value <value>', 'what is written').choices(['on', 'off', 'safe']).default('on'))
    .option('--for <duration>', 'how long, at most 60s', '2s')
    .option('--yes', 'do not ask')
    .action(runs(testCommand));
}

/** `andon output test NAME`, also while `dryRun` is true: the test comes before the first real use. */
async function testCommand(name: string, options: TestOptions, output: Output): Promise<number> {
  const loaded = await loadConfig(options.config, { checkModels: false });
  const { config } = loaded;
  const outputs = outputSettings(config);
  const chosen = outputs[name];
  const known = Object.keys(outputs);
  if (chosen === undefined)
    throw commandFailure(
      'output-unknown',
      `There is no output '${name}': ${known.length === 0 ? 'the configuration has none' : `expected ${nameSome(known)}`}`,
    );
  const held = protectionProblem(loaded.outputsFile);
  if (held !== undefined) throw commandFailure('output-held', `The output is not written: ${held}`);
  const forMs = parseDurationMs(options.for);
  if (forMs === undefined || forMs > FOR_MS_MAX)
    throw commandFailure('output-held', `--for ${options.for}: expected a duration of at most 60s`);
  const { values, safe } = rulesOf(chosen);
  const value = options.value === 'safe' ? safe : values[options.value];
  const target = chosen.type === 'modbus' ? modbusTarget(chosen) : mqttTarget(chosen);
  const question = `Write ${value} to ${target} for ${formatDuration(forMs)}, then ${safe}? The machine may react.`;
  if (!(await confirm(question, options.yes === true))) {
    output.err('Nothing was written.');
    return 1;
  }
  const deps = systemDeps();
  await using audit = new OperatorAudit(config.outbox.path, config.audit, deps);
  const caller = { kind: 'local', name: commandUser(), role: 'admin', address: 'local' } as const;
  await audit.record(caller, 'output-test', name, { target, value, safe, for_ms: forMs });
  const factories = new OutputFactories();
  await factories.load({ [name]: chosen });
  await using writer = factories.writer(name, chosen, deps);
  try {
    await writer.write(value);
    await sleep(deps.clock, forMs);
  } finally {
    await writer.write(safe);
  }
  printResult(output, options, {
    document: { ok: true, output: name, target, value, safe },
    text: `${value} was written to ${target}, and ${safe} after ${formatDuration(forMs)}. A running agent writes its own value again at the next refresh.`,
  });
  return 0;
}
