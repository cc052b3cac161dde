import type { LoadedConfig } from '../config/config-file.ts';
import type { ConfigurationEditor } from '../http/configuration-editor.ts';
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

/** Change that is in use and whose parts have not all been seen to work. */
type Trial = {
  /** The configuration that a revert returns to. */
  readonly before: LoadedConfig;
  /** State of each part before the change. */
  readonly worked: ReadonlyMap<string, PartState>;
  /** Parts that the change ended or replaced. */
  readonly touched: ReadonlySet<string>;
  /** True for a change that stays although parts stop working. */
  readonly isKept: boolean;
};

export type ReloadResult = {
  /**
   * 'reverted': the configuration of before is in use again. 'superseded': in use until the next one, which is checked together
   * with it.
   */
  readonly outcome: 'applied' | 'reverted' | 'superseded';
  /** Changed keys, such as `watches.press`. */
  readonly changed: readonly string[];
  /** Those of them for which all parts restarted; empty if the others kept running. */
  readonly restart: readonly string[];
  /** Reason for the revert; undefined for other outcomes. */
  readonly reason: string | undefined;
};

/**
 * The agent with the configuration in use.
 *
 * A reload changes the parts whose configuration differs, and reverts the whole change if one of them fails: if it worked
 * before, was ended or replaced by the change, and is degraded or failed `reload.revertAfter` later. The check ends as soon
 * as all of them work. A newer configuration ends it too: both changes are then checked as one, and reverted as one.
 */
export class ReloadableAgent implements AsyncDisposable {
  readonly #deps: AgentDeps;
  readonly #start: (next: LoadedConfig) => Promise<RunningAgent>;
  #loaded: LoadedConfig;
  /** Undefined if a start failed. */
  #agent: RunningAgent | undefined;
  /** Undefined if the configuration in use was checked. */
  #trial: Trial | undefined;
  /** Undefined while the configuration of the file is in use. */
  #health: ComponentHealth | undefined;

  private constructor(
    loaded: LoadedConfig,
    agent: RunningAgent,
    deps: AgentDeps,
    start: (next: LoadedConfig) => Promise<RunningAgent>,
  ) {
    this.#loaded = loaded;
    this.#agent = agent;
    this.#deps = deps;
    this.#start = start;
  }

  /** @param editor Reads and changes the file of the configuration over HTTP. */
  static async start(
    loaded: LoadedConfig,
    deps: AgentDeps,
    manager: ServiceManager,
    editor: ConfigurationEditor,
  ): Promise<ReloadableAgent> {
    const start = (next: LoadedConfig) => startAgent(next, deps, manager, editor);
    return new ReloadableAgent(loaded, await start(loaded), deps, start);
  }

  /** The configuration in use. */
  get inUse(): LoadedConfig {
    return this.#loaded;
  }

  /** One line for `systemctl status`. */
  get summary(): string {
    return this.#agent?.summary() ?? 'stopped';
  }

  /**
   * @param stop Ends the check of the parts early; the change then stays.
   * @param superseded A newer configuration waits: ends the check early, which the next reload continues.
   */
  async reload(next: LoadedConfig, stop: AbortSignal, superseded: AbortSignal): Promise<ReloadResult> {
    const { clock, log } = this.#deps;
    const changes = configChanges(this.#loaded.config, next.config);
    const [changed, { restart }] = [changedKeys(changes), changes];
    const { before, worked, touched, isKept } = this.#trial ?? this.#newTrial();
    const sinceMs = clock.nowMs();
    if (restart.length > 0) log.info({ restart }, `All parts restart, because ${restart.join(', ')} changed.`);
    const applied = await this.#apply(next, changes);
    this.#trial = {
      before,
      worked,
      touched: new Set([...touched, ...('code' in applied ? [] : applied.touched)]),
      // A key that is no longer trusted must not come back, even if parts stop working without it.
      isKept: isKept || restart.includes('models.trust'),
    };
    const result = 'code' in applied ? applied : await this.#check(this.#trial, sinceMs, stop, superseded);
    if (result === 'superseded') {
      log.info({ file: next.file, changed, restart }, 'A newer configuration ends the check of this one.');
      return { outcome: 'superseded', changed, restart, reason: undefined };
    }
    this.#trial = undefined;
    if (result === undefined) {
      this.#health?.remove();
      this.#health = undefined;
      log.info({ file: next.file, changed, restart }, 'The new configuration is in use.');
      return { outcome: 'applied', changed, restart, reason: undefined };
    }
    await this.#revert(next, before, result);
    return { outcome: 'reverted', changed, restart, reason: result.reason };
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
      this.#agent = await this.#start(next);
      return { touched: [...this.#states(-Infinity).keys()] };
    } catch (error) {
      // Such as a folder without permission, which only a start shows.
      if (!(error instanceof OperatingError)) throw error;
      return { code: error.code, reason: error.message };
    }
  }

  #newTrial(): Trial {
    return { before: this.#loaded, worked: this.#states(-Infinity), touched: new Set(), isKept: false };
  }

  /** Waits until the parts of a change work that worked before. @returns Why one of them does not; undefined if all do. */
  async #check(
    { worked, touched, isKept }: Trial,
    sinceMs: number,
    stop: AbortSignal,
    superseded: AbortSignal,
  ): Promise<Failure | 'superseded' | undefined> {
    const { revertAfterMs } = this.#loaded.config.reload;
    const { clock } = this.#deps;
    if (revertAfterMs === 'never' || isKept) return undefined;
    const keys = [...touched].filter((key) => worked.get(key)?.state === 'works');
    const ended = AbortSignal.any([stop, superseded]);
    const untilMs = clock.monotonicMs() + revertAfterMs;
    for (;;) {
      const states = this.#states(sinceMs);
      // A removed part has no state.
      const waiting = keys.filter((key) => states.has(key) && states.get(key)?.state !== 'works');
      if (waiting.length === 0 || stop.aborted) return undefined;
      if (superseded.aborted) return 'superseded';
      if (clock.monotonicMs() >= untilMs) {
        const failed = waiting.filter((key) => states.get(key)?.state === 'fails');
        const reasons = failed.map((key) => `${key} worked before and does not work now: ${states.get(key)?.reason}`);
        return reasons.length === 0 ? undefined : { code: 'part-failed', reason: reasons.join('; ') };
      }
      await sleep(clock, CHECK_MS, ended);
    }
  }

  async #revert(next: LoadedConfig, before: LoadedConfig, { code, reason }: Failure): Promise<void> {
    const { log, health } = this.#deps;
    const reverted = await this.#apply(before, configChanges(next.config, before.config));
    invariant(!('code' in reverted), `The configuration that was in use can be used again`);
    const remedy = `Fix ${next.file} and reload; a restart of the service would use the file as it is`;
    log.error({ file: next.file, code }, `The new configuration is reverted, the old one stays: ${reason}. ${remedy}`);
    this.#health ??= health.component('configuration');
    const text = `${next.file} is not in use, its change was reverted: ${reason}. ${remedy}`;
    this.#health.report('degraded', text, 'configuration-reverted');
  }

  /** Returns the state of the parts in use, by key. @param sinceMs Oldest value that counts for a source. */
  #states(sinceMs: number): ReadonlyMap<string, PartState> {
    const delivering = this.#agent?.delivering(sinceMs) ?? new Set();
    return partStates(this.#loaded.config, this.#deps.health.components(), delivering);
  }
}
