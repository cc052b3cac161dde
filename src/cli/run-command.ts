import { type AgentDeps, type RunningAgent, startAgent } from '../app/agent.ts';
import { loadConfig, type LoadedConfig } from '../config/config-file.ts';
import { runOnce } from './setup/live-commands.ts';
import { SystemClock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { ConfigError, errorMessage, OperatingError } from '../platform/errors.ts';
import { Health } from '../platform/health.ts';
import { createLogger } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { type ServiceManager, systemdServiceManager } from '../platform/systemd-notify.ts';
import type { Output } from './output/output.ts';
import { processMetrics } from './output/process-metrics.ts';

/** Longest that a clean stop may take before the process ends anyway; systemd's own limit is longer. */
const STOP_TIMEOUT_MS = 20_000;

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
  const { log, flush } = createLogger({
    level: loaded.config.log.level,
    fd: 1,
    onDrop: () => counters.andon_log_lines_dropped_total.inc(),
  });
  const deps: Deps = { clock, random: Math.random, log, metrics, health: new Health({ clock, log, metrics }) };
  const manager = systemdServiceManager(process.env, log);
  for (const warning of loaded.warnings) log.warn({ file: warning.file, line: warning.line }, warning.message);

  // From here on a signal is obeyed, not deadly: one that comes during the start ends the agent once it is up.
  const ending = nextEnding();
  let current: Running = { loaded, agent: await startAgent(loaded, { ...deps, clock }, manager) };
  manager.notify('READY=1', `STATUS=${current.agent.summary}`);
  const reloads = reloadOnHangup(async () => {
    const before = current.loaded;
    current = await reloadConfig(file, current, { ...deps, clock }, manager);
    counters.andon_config_reloads_total.inc({ outcome: current.loaded === before ? 'refused' : 'applied' });
  }, deps);

  const reason = await ending;
  log.info({ reason: reason.text }, 'Stopping.');
  manager.notify('STOPPING=1');
  const limit = clock.setTimer(() => process.exit(70), STOP_TIMEOUT_MS, { background: true });
  // A reload that failed permanently has ended the agent; the remaining parts still stop in order.
  await reloads.idle().catch(() => undefined);
  await current.agent[Symbol.asyncDispose]();
  limit.cancel();
  log.info({ reason: reason.text }, 'Stopped.');
  await flush();
  return reason.exitCode;
}

type Running = { readonly loaded: LoadedConfig; readonly agent: RunningAgent };

/** @returns The configuration in use: the new one, or the old one if the new one is invalid or does not start. */
async function reloadConfig(
  file: string,
  running: Running,
  deps: AgentDeps,
  manager: ServiceManager,
): Promise<Running> {
  const next = await reread(file, deps);
  if (next === undefined) return running;
  manager.notify('RELOADING=1');
  await running.agent[Symbol.asyncDispose]();
  const started = await startOrGoBack(next, running.loaded, deps, manager);
  deps.log.level = started.loaded.config.log.level;
  manager.notify('READY=1', `STATUS=${started.agent.summary}`);
  if (started.loaded === next) deps.log.info({ file }, 'The new configuration is in use.');
  return started;
}

/** Starts the new configuration, or the old one if it fails: faults such as a folder without permission show only at the start. */
async function startOrGoBack(
  next: LoadedConfig,
  before: LoadedConfig,
  deps: AgentDeps,
  manager: ServiceManager,
): Promise<Running> {
  try {
    return { loaded: next, agent: await startAgent(next, deps, manager) };
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    deps.log.error(
      { file: next.file, code: error.code },
      `The new configuration cannot be started, the old one stays: ${error.message}`,
    );
    return { loaded: before, agent: await startAgent(before, deps, manager) };
  }
}

/** Returns the new configuration; undefined if it is invalid. Then nothing changes, and the log has the reason. */
async function reread(file: string, deps: Deps): Promise<LoadedConfig | undefined> {
  try {
    return await loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { file: path, line, column, path: key, message } of error.problems)
      deps.log.error(
        { file: path, line, column, key },
        `The new configuration is refused, the old one stays: ${message}`,
      );
    return undefined;
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

/** Handles SIGHUP one at a time; signals during a reload cause one more reload. */
function reloadOnHangup(reload: () => Promise<void>, deps: Deps): { idle(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let waiting = false;
  process.on('SIGHUP', () => {
    if (waiting) return;
    waiting = true;
    running = running.then(() => {
      waiting = false;
      deps.log.info({ signal: 'SIGHUP' }, 'Reading the configuration again.');
      return reload();
    });
  });
  return { idle: () => running };
}
