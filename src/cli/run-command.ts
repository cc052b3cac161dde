import type { Command } from 'commander';
import { configOption, runs } from './output/command.ts';
import { ReloadableAgent } from '../app/reload.ts';
import { ReloadQueue } from '../app/reload-queue.ts';
import { ConfigCheckThread } from '../config-editing/config-check-thread.ts';
import { ConfigurationFile } from '../config-editing/configuration-file.ts';
import { loadConfig, type LoadedConfig } from '../config/config-file.ts';
import { runOnce } from './setup/live-commands.ts';
import { SystemClock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { configCheckEntry } from '../platform/entries.ts';
import { ConfigError, errorMessage } from '../platform/errors.ts';
import { Health } from '../platform/health.ts';
import { createLogger, RecentLog } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { systemdServiceManager } from '../platform/systemd-notify.ts';
import type { Output } from './output/output.ts';
import { processMetrics } from './output/process-metrics.ts';

/** Longest that a clean stop may take before the process ends anyway; systemd's own limit is longer. */
const STOP_TIMEOUT_MS = 20_000;

/** Defines `andon run`. */
export function defineRun(command: Command): void {
  command
    .addOption(configOption)
    .option('--once', 'print one window of every watch and exit; stores and publishes nothing')
    .action(runs(runCommand));
}

/**
 * `andon run -c FILE`: the daemon. SIGTERM and SIGINT stop it cleanly, SIGHUP reads the configuration again.
 * @returns Exit code: 0 stopped, 70 our bug, 78 the configuration is wrong.
 */
export async function runCommand(
  { config: file, once }: { readonly config: string; readonly once?: boolean },
  output: Output,
): Promise<number> {
  if (once === true) return runOnce(file, output);
  // Records, samples and models are for the agent's Unix user alone, also without systemd's UMask.
  process.umask(0o077);
  const loaded = await loadConfig(file);
  const clock = new SystemClock();
  const metrics = new Metrics();
  const counters = metrics.of(processMetrics);
  const recentLog = new RecentLog();
  const { log, flush } = createLogger({
    recent: recentLog,
    level: loaded.config.log.level,
    fd: 1,
    onDrop: () => counters.andon_log_lines_dropped_total.inc(),
  });
  const deps: Deps = { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
  const manager = systemdServiceManager(process.env, log);
  for (const warning of loaded.warnings) log.warn({ file: warning.file, line: warning.line }, warning.message);

  // From here on a signal is obeyed, not deadly: one that comes during the start ends the agent once it is up.
  const ending = nextEnding();
  const stopping = new AbortController();
  const started = Promise.withResolvers<ReloadableAgent>();
  const reloads = new ReloadQueue({
    read: async () => {
      const next = await reread(file, deps);
      if ('reason' in next) counters.andon_config_reloads_total.inc({ outcome: 'refused' });
      return next;
    },
    apply: async (next, superseded) => {
      const agent = await started.promise;
      manager.notify('RELOADING=1');
      const result = await agent.reload(next, stopping.signal, superseded);
      counters.andon_config_reloads_total.inc({ outcome: result.outcome });
      if (result.outcome !== 'superseded') editor.reloaded(agent.inUse);
      if (!stopping.signal.aborted) manager.notify('READY=1', `STATUS=${agent.summary}`);
      return result;
    },
  });
  await using checks = new ConfigCheckThread(configCheckEntry, deps);
  const editor = new ConfigurationFile({ loaded, checks, reload: () => reloads.request(), deps });
  const agent = await ReloadableAgent.start(loaded, { ...deps, clock, recentLog }, manager, editor);
  started.resolve(agent);
  manager.notify('READY=1', `STATUS=${agent.summary}`);
  process.on('SIGHUP', () => void reloads.request());

  const reason = await ending;
  stopping.abort();
  log.info({ reason: reason.text }, 'Stopping.');
  manager.notify('STOPPING=1');
  const limit = clock.setTimer(() => process.exit(70), STOP_TIMEOUT_MS, { background: true });
  // A reload that failed permanently has ended the agent; the remaining parts still stop in order.
  await reloads.idle().catch(() => undefined);
  await agent[Symbol.asyncDispose]();
  limit.cancel();
  log.info({ reason: reason.text }, 'Stopped.');
  await flush();
  return reason.exitCode;
}

/** Returns the new configuration, or the reason if it is invalid. Then nothing changes, and the log has every problem. */
async function reread(file: string, deps: Deps): Promise<LoadedConfig | { readonly reason: string }> {
  deps.log.info({ file }, 'Reading the configuration again.');
  try {
    return await loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { file: path, line, column, path: key, message } of error.problems)
      deps.log.error(
        { file: path, line, column, key },
        `The new configuration is refused, the old one stays: ${message}`,
      );
    return { reason: error.message };
  }
}

type Ending = { readonly exitCode: number; readonly text: string };

/** The first event that ends the daemon: a signal, or an uncaught error. */
function nextEnding(): Promise<Ending> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => resolve({ exitCode: 0, text: signal }));
    const bug = (error: unknown): void => {
      process.exitCode = 70;
      resolve({ exitCode: 70, text: error instanceof Error ? (error.stack ?? error.message) : errorMessage(error) });
    };
    process.on('uncaughtException', bug);
    process.on('unhandledRejection', bug);
  });
}
