import type { ModelRegistry } from '../../contracts/model-registry.ts';
import type { ModelStanding } from '../../domain/rollout/rollout-plan.ts';
import type { ConfigurationEditor, ConfigurationProblem, ConfigurationState } from '../../http/configuration-editor.ts';
import { type Clock, sleep } from '../../platform/clock.ts';
import { OperatingError } from '../../platform/errors.ts';
import { sha256 } from '../../platform/sha256.ts';
import { fleetFailure } from '../fleet-errors.ts';
import type { DesiredModel, DesiredState, FleetState } from '../fleet-states.ts';
import { boxConfiguration } from './fleet-configuration.ts';
import type { FleetJournal } from './fleet-journal.ts';

/** Actor of the changes, in both audit logs. */
const ACTOR = 'fleet';
/** Interval at which a change of the configuration is looked at. */
const LOOK_MS = 200;

export type Progress = { readonly state: FleetState; readonly reason: string; readonly code?: string | undefined };

export type ReconcilerOptions = {
  readonly editor: ConfigurationEditor;
  readonly registry: ModelRegistry;
  readonly standing: (model: string) => Promise<ModelStanding>;
  /** Returns how long a version of a model is on probation after its activation; 0 if no watch uses the model. */
  readonly probationMs: (model: string) => number;
  readonly journal: FleetJournal;
  /** Returns a file of the fleet by its SHA-256. @throws {OperatingError} (retry). */
  readonly file: (sha256: string) => AsyncIterable<Uint8Array>;
  /** Values of variables on this box, which precede those of the fleet. */
  readonly variables: Readonly<Record<string, string>>;
  /** Records the begin and the end of a generation. */
  readonly audit: (generation: number, detail: Readonly<Record<string, unknown>>) => void;
  readonly clock: Clock;
  /** Ends the work early; the next agent continues it. */
  readonly signal: AbortSignal;
};

/**
 * Brings a box to its desired state: install, configure, activate, wait for the probation.
 *
 * A generation succeeds as a whole or fails for good. A failure leaves what the box had: a configuration that does not work is
 * reverted, a version that fails in its probation is rolled back, and then the other changes of the generation are, too.
 * Once a generation was ok, people on the box have the last word: what they change is reported, not changed back.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** The last configuration that was read, by its SHA-256. */
  #read: { readonly sha256: string; readonly text: string } | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Does what can be done now. Call it again until the state is 'ok' or 'failed'. */
  async reconcile(desired: DesiredState): Promise<Progress> {
    const { journal } = this.#options;
    const { record } = journal;
    if (record.generation === desired.generation && record.state === 'failed')
      return { state: 'failed', reason: record.reason, code: record.code };
    if (record.generation === desired.generation && record.state === 'ok') return this.#deviation(desired);
    try {
      if (record.generation !== desired.generation) await this.#begin(desired);
      return await this.#apply(desired);
    } catch (error) {
      if (this.#options.signal.aborted) return { state: 'applying', reason: '' };
      if (!(error instanceof OperatingError)) throw error;
      const { code, message: reason } = error;
      // A person changed the file at the same time.
      if (error.disposition === 'retry' || code === 'configuration-changed') return { state: 'waiting', reason, code };
      await this.#undo(desired);
      await journal.write({ state: 'failed', reason, code });
      this.#options.audit(desired.generation, { state: 'failed', reason, code });
      return { state: 'failed', reason, code };
    }
  }

  async #begin({ generation, models, configuration, rollout }: DesiredState): Promise<void> {
    const { journal, audit } = this.#options;
    await journal.write({
      generation,
      state: 'applying',
      reason: '',
      code: undefined,
      activated: {},
      configuration: undefined,
    });
    audit(generation, {
      state: 'applying',
      models: models.map(label),
      configuration: configuration?.sha256,
      rollout,
    });
  }

  async #apply(desired: DesiredState): Promise<Progress> {
    const { signal, journal } = this.#options;
    const { models } = desired;
    for (const model of models) await this.#checkNotRejected(model);
    for (const model of models) await this.#install(model);
    if (desired.configuration !== undefined) await this.#configure(desired.configuration);
    signal.throwIfAborted();
    for (const model of models) await this.#activate(model);
    if (desired.configuration !== undefined) await this.#settle();
    signal.throwIfAborted();
    for (const model of models) await this.#checkNotRejected(model);
    const onProbation: string[] = [];
    for (const model of models) if (await this.#isOnProbation(model)) onProbation.push(label(model));
    if (onProbation.length > 0) return { state: 'probation', reason: `${onProbation.join(', ')} on probation` };
    await journal.write({ state: 'ok' });
    this.#options.audit(desired.generation, { state: 'ok' });
    return { state: 'ok', reason: '' };
  }

  async #install(model: DesiredModel): Promise<void> {
    const { name, version, sha256: digest, url } = model;
    const { registry, journal, file } = this.#options;
    const key = label(model);
    if (journal.record.archives[key] === digest) return;
    const source =
      url === undefined
        ? ({ kind: 'archive', bytes: file(digest) } as const)
        : ({ kind: 'url', url, headers: {} } as const);
    const installed = await registry.install({ source, sha256: digest, activate: false }, ACTOR);
    if (installed.name !== name || installed.version !== version)
      throw fleetFailure(
        'fleet-state-invalid',
        `The package of ${key} contains ${installed.name}@${installed.version}`,
      );
    await journal.write({ archives: { ...journal.record.archives, [key]: digest } });
  }

  /** Writes the configuration and waits until the agent has begun to use it. */
  async #configure({ sha256: digest, variables: given }: NonNullable<DesiredState['configuration']>): Promise<void> {
    const { editor, journal, variables } = this.#options;
    const { text: local, version } = await editor.read();
    if (journal.record.configuration === version) return;
    const text = boxConfiguration({ text: await this.#text(digest), variables: { ...given, ...variables }, local });
    if (text !== local) {
      const applied = await editor.apply(text, version, ACTOR);
      if ('problems' in applied) throw fleetFailure('fleet-configuration-refused', problemsText(applied.problems));
    }
    await journal.write({ configuration: sha256(Buffer.from(text)) });
    // A version that fits the new configuration only cannot become active before.
    await this.#until(({ isInUse, lastApply }) => isInUse || lastApply?.state !== 'applying');
  }

  async #text(digest: string): Promise<string> {
    if (this.#read?.sha256 === digest) return this.#read.text;
    const parts: Uint8Array[] = [];
    for await (const part of this.#options.file(digest)) parts.push(part);
    const bytes = Buffer.concat(parts);
    if (sha256(bytes) !== digest)
      throw fleetFailure('fleet-file-missing', `The configuration ${digest} is damaged in the object store`);
    this.#read = { sha256: digest, text: bytes.toString() };
    return this.#read.text;
  }

  /** Waits for the end of the check of a configuration. @throws {OperatingError} It was reverted. */
  async #settle(): Promise<void> {
    const last = (await this.#until(({ lastApply }) => lastApply?.state !== 'applying'))?.lastApply;
    if (last === undefined || last.version !== this.#options.journal.record.configuration) return;
    if (last.state === 'reverted' || last.state === 'refused')
      throw fleetFailure('fleet-configuration-reverted', `The configuration was ${last.state}: ${last.reason}`);
  }

  async #activate({ name, version }: DesiredModel): Promise<void> {
    const { registry, standing, journal } = this.#options;
    const { active } = await standing(name);
    if (active === version) return;
    const { activated } = journal.record;
    if (!Object.hasOwn(activated, name)) await journal.write({ activated: { ...activated, [name]: active ?? null } });
    await registry.activate({ name, version }, ACTOR);
  }

  /** A version that was rolled back must not become active again. */
  async #checkNotRejected({ name, version }: DesiredModel): Promise<void> {
    const rejection = (await this.#options.standing(name)).rejected.find((each) => each.version === version);
    if (rejection === undefined) return;
    throw fleetFailure('fleet-version-rejected', `${name}@${version} failed on this box: ${rejection.reason}`);
  }

  async #isOnProbation({ name, version }: DesiredModel): Promise<boolean> {
    const { standing, probationMs, clock } = this.#options;
    const { active, previous, activatedMs } = await standing(name);
    if (active !== version || previous === undefined || activatedMs === undefined) return false;
    return clock.nowMs() < activatedMs + probationMs(name);
  }

  /** Activates the versions of before. One that cannot be activated stays, and its reason is in the audit log. */
  async #undo({ models }: DesiredState): Promise<void> {
    const { registry, standing, journal } = this.#options;
    for (const { name, version } of models) {
      const before = journal.record.activated[name];
      const { active, previous } = await standing(name);
      if (before === undefined || before === null || active !== version) continue;
      const back =
        previous === before ? registry.rollback(name, ACTOR) : registry.activate({ name, version: before }, ACTOR);
      await back.catch((error: unknown) => {
        if (!(error instanceof OperatingError)) throw error;
      });
    }
  }

  /** Compares the box with a generation that was ok. */
  async #deviation({ models, configuration }: DesiredState): Promise<Progress> {
    const { standing, editor, journal } = this.#options;
    for (const model of models) {
      const { active } = await standing(model.name);
      if (active === model.version) continue;
      const reason = `${label(model)} was replaced on the box: version ${active ?? 'none'} is active`;
      return { state: 'deviates', reason };
    }
    if (configuration !== undefined && (await editor.read()).version !== journal.record.configuration)
      return { state: 'deviates', reason: 'The configuration was changed on the box' };
    return { state: 'ok', reason: '' };
  }

  async #until(isReached: (state: ConfigurationState) => boolean): Promise<ConfigurationState | undefined> {
    const { editor, clock, signal } = this.#options;
    for (;;) {
      if (signal.aborted) return undefined;
      const state = await editor.read();
      if (isReached(state)) return state;
      await sleep(clock, LOOK_MS, signal);
    }
  }
}

function label({ name, version }: DesiredModel): string {
  return `${name}@${version}`;
}

function problemsText(problems: readonly ConfigurationProblem[]): string {
  return problems
    .filter(({ severity }) => severity !== 'warning')
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ');
}
