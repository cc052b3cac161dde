import type { Command } from 'commander';
import { commandFailure } from '../app/command-errors.ts';
import { loadConfig } from '../config/config-file.ts';
import { NotifyFactories } from '../config/kinds.ts';
import { nameSome } from '../domain/name-list.ts';
import { testMessage } from '../domain/notify/notify-message.ts';
import { alarmPage, within } from '../notify/notifier.ts';
import { systemDeps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import { runs, subcommand } from './output/command.ts';
import { confirm } from './output/confirm.ts';
import { type Output, printResult } from './output/output.ts';

type TestOptions = { readonly config: string; readonly yes?: boolean; readonly json?: boolean };

/** Defines `andon notify test`. */
export function defineNotify(notify: Command): void {
  subcommand(notify, 'test', 'sends one test message through each channel, or the named ones; asks first')
    .argument('[name...]', 'channels, as in the configuration')
    .option('--yes', 'do not ask')
    .action(runs(testCommand));
}

/** `andon notify test [NAME…]`. @returns Exit code: 0 if each service accepted its message, otherwise 1. */
async function testCommand(names: readonly string[], options: TestOptions, output: Output): Promise<number> {
  const { config } = await loadConfig(options.config, { checkModels: false });
  const known = Object.keys(config.notify);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined || known.length === 0)
    throw commandFailure(
      'channel-unknown',
      known.length === 0
        ? 'The configuration has no channel (notify)'
        : `There is no channel '${unknown}': expected ${nameSome(known)}`,
    );
  const chosen = names.length === 0 ? known : names;
  if (!(await confirm(`Send a test message through ${nameSome(chosen)}?`, options.yes === true))) {
    output.err('Nothing was sent.');
    return 1;
  }
  const factories = new NotifyFactories();
  await factories.load(config.notify);
  const deps = systemDeps();
  const results: { readonly channel: string; readonly ok: boolean; readonly reason: string | null }[] = [];
  for (const channel of chosen) {
    const settings = config.notify[channel];
    if (settings === undefined) continue;
    const link = settings.link === undefined ? undefined : alarmPage(settings.link);
    await using transport = factories.transport(settings, deps);
    try {
      const message = testMessage({ agent: config.agent.id, link });
      await within(settings.timeoutMs, undefined, deps, (signal) => transport.send(message, signal));
      results.push({ channel, ok: true, reason: null });
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      results.push({ channel, ok: false, reason: errorMessage(error) });
    }
  }
  const lines = results.map(({ channel, ok, reason }) =>
    ok ? `${channel}: accepted. Check that it arrived.` : `${channel}: ${reason}`,
  );
  const ok = results.every((result) => result.ok);
  printResult(output, options, { document: { ok, channels: results }, text: lines.join('\n') });
  return ok ? 0 : 1;
}
