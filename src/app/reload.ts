import type { LoadedConfig } from '../config/config-file.ts';
import { sleep } from '../platform/clock.ts';
import { invariant, OperatingError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { ServiceManager } from '../platform/systemd-notify.ts';
import { type AgentDeps, type RunningAgent, startAgent } from './agent.ts';
import { changedKeys, type ConfigChanges, configChanges } from './config-changes.ts';
import { type PartState, partStates } from './part-states.ts';

/** Interval at which the parts are checked after a change. */
const CHECK_MS = 200;

/** Why a change is reverted. */
type Failure = { readonly code: string; readonly reason: string };

export type ReloadResult = {
  /** 'reverted': the configuration of before is in use again. */
  readonly outcome: 'applied' | 'reverted';
  /** Changed keys, such as `watches.press`. */
  readonly changed: readonly string[];
  /** Those of them for which all parts restarted; empty if the others kept running. */
  readonly restart: readonly string[];
  /** Reason for the revert; undefined for 'applied'. */
  readonly reason: string | undefined;
};

/**
 * The agent with the configuration in use.
 *
 * A reload changes the parts whose configuration differs, and reverts the whole change if one of them fails: if it worked
 * before, was ended or replaced by the change, and is degraded or failed `reload.revertAfter` later. The check ends as soon
 * as all of them work.
 */
export class ReloadableAgent implements AsyncDisposable {
  readonly #deps: AgentDeps;
  readonly #manager: ServiceManager;
  #loaded: LoadedConfig;
  /** Undefined if a start failed. */
  #agent: RunningAgent | undefined;
  /** Undefined while the configuration of the file is in use. */
  #health: ComponentHealth | undefined;

  private constructor(loaded: LoadedConfig, agent: RunningAgent, deps: AgentDeps, manager: ServiceManager) {
    this.#loaded = loaded;
    this.#agent = agent;
    this.#deps = deps;
    this.#manager = manager;
  }

  static async start(loaded: LoadedConfig, deps: AgentDeps, manager: ServiceManager): Promise<ReloadableAgent> {
    return new ReloadableAgent(loaded, await startAgent(loaded, deps, manager), deps, manager);
  }

  /** One line for `systemctl status`. */
  get summary(): string {
    return this.#agent?.summary() ?? '';
  }

  /** @param stop Ends the check of the parts early; the change then stays. */
  async reload(next: LoadedConfig, stop: AbortSignal): Promise<ReloadResult> {
    const { clock, log } = this.#deps;
    const before = this.#loaded;
    const changes = configChanges(before.config, next.config);
    const [changed, { restart }] = [changedKeys(changes), changes];
    const worked = this.#states(-Infinity);
    const sinceMs = clock.nowMs();
    if (restart.length > 0) log.info({ restart }, `All parts restart, because ${restart.join(', ')} changed.`);
    const applied = await this.#apply(next, changes);
    // A key that is no longer trusted must not come back, even if parts stop working without it.
    const isKept = restart.includes('models.trust');
    const isAtRisk = (key: string): boolean => !isKept && worked.get(key)?.state === 'works';
    const failure =
      'code' in applied ? applied : await this.#failureOf(applied.touched.filter(isAtRisk), sinceMs, stop);
    if (failure === undefined) {
      this.#health?.remove();
      this.#health = undefined;
      log.info({ file: next.file, changed, restart }, 'The new configuration is in use.');
      return { outcome: 'applied', changed, restart, reason: undefined };
    }
    await this.#revert(next, before, failure);
    return { outcome: 'reverted', changed, restart, reason: failure.reason };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
  }

  /** @returns Keys of the parts that were ended or replaced, or the reason why the change failed. */
  async #apply(next: LoadedConfig, changes: ConfigChanges): Promise<{ readonly touched: readonly string[] } | Failure> {
    this.#loaded = next;
    this.#deps.log.level = next.config.log.level;
    try {
      if (this.#agent !== undefined && changes.restart.length === 0)
        return { touched: await this.#agent.change(next.config, changes) };
      await this.#agent?.[Symbol.asyncDispose]();
      this.#agent = undefined;
      this.#agent = await startAgent(next, this.#deps, this.#manager);
      return { touched: [...this.#states(-Infinity).keys()] };
    } catch (error) {
      // Such as a folder without permission, which only a start shows.
      if (!(error instanceof OperatingError)) throw error;
      return { code: error.code, reason: error.message };
    }
  }

  /** Waits for parts that worked before. @returns Why one of them does not work; undefined if all do. */
  async #failureOf(keys: readonly string[], sinceMs: number, stop: AbortSignal): Promise<Failure | undefined> {
    const { revertAfterMs } = this.#loaded.config.reload;
    const { clock } = this.#deps;
    const untilMs = revertAfterMs === 'never' ? -Infinity : clock.monotonicMs() + revertAfterMs;
    for (;;) {
      const states = this.#states(sinceMs);
      // A removed part has no state.
      const waiting = keys.filter((key) => states.has(key) && states.get(key)?.state !== 'works');
      if (waiting.length === 0 || revertAfterMs === 'never' || stop.aborted) return undefined;
      if (clock.monotonicMs() >= untilMs) {
        const failed = waiting.filter((key) => states.get(key)?.state === 'fails');
        const reasons = failed.map((key) => `${key} worked before and does not work now: ${states.get(key)?.reason}`);
        return reasons.length === 0 ? undefined : { code: 'part-failed', reason: reasons.join('; ') };
      }
      await sleep(clock, CHECK_MS, stop);
    }
  }

  async #revert(next: LoadedConfig, before: LoadedConfig, { code, reason }: Failure): Promise<void> {
    const { log, health } = this.#deps;
    const reverted = await this.#apply(before, configChanges(next.config, before.config));
    invariant(!('code' in reverted), `The configuration that was in use can be used again`);
    const remedy = `Fix ${next.file} and reload; a restart of the service would use the file as it is`;
    log.error({ file: next.file, code }, `The new configuration is reverted, the old one stays: ${reason}. ${remedy}`);
    this.#health ??= health.component('configuration');
    this.#health.report('degraded', `${next.file} is not in use, its change was reverted: ${reason}. ${remedy}`);
  }

  /** Returns the state of the parts in use, by key. @param sinceMs Oldest value that counts for a source. */
  #states(sinceMs: number): ReadonlyMap<string, PartState> {
    const delivering = this.#agent?.delivering(sinceMs) ?? new Set();
    return partStates(this.#loaded.config, this.#deps.health.components(), delivering);
  }
}
