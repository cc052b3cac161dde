import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  Activated,
  AuditReport,
  ExactModel,
  Installed,
  InstallRequest,
  ModelRegistry,
  ModelProof,
} from '../contracts/model-registry.ts';
import type { AnyManifest } from '../contracts/model-manifest.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { Deps } from '../platform/deps.ts';
import { syncFolder } from '../platform/durable-file.ts';
import { errorCode, OperatingError } from '../platform/errors.ts';
import { isApplied } from './operations/applied-operation.ts';
import {
  forgetPreviousVersion,
  pinnedVersion,
  previousVersion,
  readPointer,
  writeActiveVersion,
  writePinnedVersion,
} from './operations/version-pointers.ts';
import type { Act } from './operations/registry-transactions.ts';
import { RegistryTransactions } from './operations/registry-transactions.ts';
import { AuditLog } from './audit/audit-log.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import { registryFailure } from '../models/errors/registry-errors.ts';
import { packageIdentity, packageOrigin, receivePackage } from './package/model-package.ts';
import { ModelProver } from './proof/model-prover.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { differingFile } from './package/package-files.ts';
import { StagingFolder } from './package/staging-folder.ts';
import { checkMayHaveSecrets } from '../models/store/allowed-servers.ts';
import { clearRejection } from './operations/rejected-versions.ts';
import { checkNotRejected, readStanding, rollbackTarget } from './operations/version-standing.ts';

export type VersionRegistryOptions = {
  /** The inference host's entry file. */
  readonly entry: URL;
  /** `directory` absolute. */
  readonly config: ModelsConfig;
  /** Versions that something other than `active` needs, and what. */
  readonly inUse: () => Promise<readonly (ExactModel & { readonly by: string })[]>;
  /** Why watches that name the model cannot be judged by this version; empty where all can. */
  readonly misfits: (manifest: AnyManifest) => readonly string[];
  /** Another version is active now. */
  readonly onActivated?: () => void;
  readonly deps: Deps;
};

/** The model directory as it may be changed: by the commands and over HTTP alike. */
export class VersionRegistry implements ModelRegistry, AsyncDisposable {
  readonly #options: VersionRegistryOptions;
  readonly #path: string;
  readonly #directory: ModelDirectory;
  readonly #audit: AuditLog;
  readonly #acts: RegistryTransactions;
  readonly #prover: ModelProver;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #receiving = false;

  constructor(options: VersionRegistryOptions) {
    const { entry, config, deps } = options;
    this.#options = options;
    this.#path = config.directory;
    this.#directory = ModelDirectory.of(config);
    this.#audit = new AuditLog(config.directory, deps.clock);
    this.#acts = new RegistryTransactions({
      directory: config.directory,
      audit: this.#audit,
      isApplied: (note) => isApplied(note, this.#directory, this.#path),
      deps,
    });
    this.#prover = new ModelProver({ entry, config, deps, signal: this.#stopping.signal });
  }

  async install(order: InstallRequest, actor: string): Promise<Installed> {
    const act: Act = { actor, action: 'install', model: '', version: null, detail: {} };
    const installed = await this.#attempt(act, () => this.#install(order, act));
    if (!order.activate) return installed;
    const { name, version, proof } = installed;
    try {
      return { ...installed, activated: await this.#activate({ name, version }, 'activate', actor, proof) };
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      const message = `${formatModelReference(installed)} is installed, but not active: ${error.message}`;
      throw new OperatingError(error.code, error.disposition, message, { cause: error });
    }
  }

  activate(model: ExactModel, actor: string): Promise<Activated> {
    return this.#activate(model, 'activate', actor);
  }

  async rollback(name: string, actor: string): Promise<Activated> {
    const act: Act = { actor, action: 'rollback', model: name, version: null, detail: {} };
    const version = await this.#attempt(act, async () => {
      await this.#directory.checkExists({ name, version: undefined });
      const before = await previousVersion(this.#path, name);
      await checkNotRejected(this.#path, name, before);
      return before;
    });
    return this.#activate({ name, version }, 'rollback', actor);
  }

  /**
   * Goes back from a version that failed at work, where it is still the active one. The version before it has judged
   * beside it until now, so that it is not proved again.
   *
   * @throws {OperatingError} 'model-rollback-refused' where the version is pinned, or there is none to go back to.
   */
  async rollbackFrom({ name, version: from }: ExactModel, because: string): Promise<void> {
    const act: Act = { actor: 'agent', action: 'rollback', model: name, version: null, detail: { from, because } };
    await this.#attempt(act, async () => {
      const target = async () => rollbackTarget(name, from, await readStanding(this.#path, name));
      const version = await target();
      if (version === undefined) return;
      act.version = version;
      await this.#acts.commit(act, {
        check: async () => {
          if ((await target()) !== version)
            throw registryFailure('models-busy', `Another version of ${name} was activated meanwhile`);
        },
        change: () => writeActiveVersion(this.#path, name, version),
      });
    });
    this.#options.onActivated?.();
  }

  async pin({ name, version }: ExactModel, actor: string): Promise<void> {
    const act: Act = { actor, action: 'pin', model: name, version, detail: {} };
    const check = async (): Promise<void> => {
      await this.#directory.checkExists({ name, version });
      const active = await this.#directory.activeVersion(name);
      if (active === version) return;
      const now = active === undefined ? 'none is' : `version ${active} is`;
      throw registryFailure(
        'model-version-not-active',
        `${name}@${version} is not active, ${now}: a pin holds the active version fast`,
      );
    };
    const change = () => writePinnedVersion(this.#path, name, version);
    await this.#attempt(act, () => this.#acts.commit(act, { check, change }));
  }

  async unpin(name: string, actor: string): Promise<number | undefined> {
    const act: Act = { actor, action: 'unpin', model: name, version: null, detail: {} };
    let pinned: number | undefined;
    const check = async (): Promise<void> => {
      await this.#directory.checkExists({ name, version: undefined });
      // A `pinned` file that says no version is taken away as well.
      pinned = await pinnedVersion(this.#path, name).catch(() => undefined);
      act.version = pinned ?? null;
    };
    const change = () => writePinnedVersion(this.#path, name, undefined);
    await this.#attempt(act, () => this.#acts.commit(act, { check, change }));
    return pinned;
  }

  async remove(model: ExactModel, { force }: { readonly force: boolean }, actor: string): Promise<void> {
    const { name, version } = model;
    const act: Act = { actor, action: 'remove', model: name, version, detail: force ? { force } : {} };
    await this.#attempt(act, async () => {
      const inUse = await this.#options.inUse();
      await using gone = await this.#acts.locked(() => this.#staging());
      await this.#acts.commit(act, {
        check: () => this.#checkRemovable(model, inUse, force),
        change: async () => {
          await rename(this.#folderOf(model), join(gone.path, 'removed'));
          await forgetPreviousVersion(this.#path, name, version);
          await clearRejection(this.#path, name, version);
          await syncFolder(join(this.#path, name));
        },
      });
    });
  }

  audit(): Promise<AuditReport> {
    return this.#audit.report();
  }

  /** Has a version in the log that training wrote. */
  async recordTraining({ name, version }: ExactModel, actor: string): Promise<void> {
    const act: Act = { actor, action: 'train', model: name, version, detail: {} };
    const check = () => this.#directory.checkExists({ name, version });
    await this.#attempt(act, () => this.#acts.commit(act, { check, change: () => Promise.resolve() }));
  }

  /** Ends what is under way, with nothing changed, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }

  async #attempt<T>(act: Act, work: () => Promise<T>): Promise<T> {
    const running = this.#acts.attempt(act, () => {
      if (this.#stopping.signal.aborted) throw registryFailure('models-busy', 'The agent is stopping');
      return work();
    });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #staging(): Promise<StagingFolder> {
    return StagingFolder.make(this.#path);
  }

  async #install(order: InstallRequest, act: Act): Promise<Installed> {
    if (this.#receiving)
      throw registryFailure('models-busy', 'Another package is being installed; one comes at a time');
    this.#receiving = true;
    try {
      await using staging = await this.#acts.locked(() => this.#staging());
      const folder = join(staging.path, 'package');
      await mkdir(folder);
      const { config, deps } = this.#options;
      // Before it is received: a refusal says as well where the package came from.
      Object.assign(act.detail, packageOrigin(order.source));
      const received = await receivePackage(order, {
        folder,
        scratch: staging.path,
        config,
        clock: deps.clock,
        signal: this.#stopping.signal,
      });
      if (received.archiveSha256 !== undefined) act.detail['archive_sha256'] = received.archiveSha256;
      const model = await packageIdentity(folder);
      act.model = model.name;
      act.version = model.version;
      // As it will lie in the model directory, so that it is proved by the same rules.
      const staged = join(staging.path, 'models');
      await mkdir(join(staged, model.name), { recursive: true });
      await rename(folder, join(staged, model.name, String(model.version)));
      return await this.#place(model, staged, { order, act, leftOut: received.leftOut });
    } finally {
      this.#receiving = false;
    }
  }

  /** Proves a staged version and puts it in its place. */
  async #place(
    model: ExactModel,
    staged: string,
    { order, act, leftOut }: { order: InstallRequest; act: Act; leftOut: readonly string[] },
  ): Promise<Installed> {
    const folder = join(staged, model.name, String(model.version));
    let proof: ModelProof | undefined;
    if (!(await this.#isInstalled(model, folder))) {
      const { remote } = (await ModelDirectory.of({ ...this.#options.config, directory: staged }).find(model)).manifest;
      if (remote !== undefined) checkMayHaveSecrets(remote, this.#options.config);
      order.onProgress?.({ stage: 'verifying', model: formatModelReference(model) });
      proof = await this.#prover.prove(model, staged);
      Object.assign(act.detail, proof);
      await syncFolder(folder);
    }
    let fresh = true;
    await this.#acts.commit(act, {
      check: async () => {
        fresh = !(await this.#isInstalled(model, folder));
        if (!fresh) act.detail['already_installed'] = true;
      },
      change: async () => {
        if (!fresh) return;
        await mkdir(join(this.#path, model.name), { recursive: true });
        await this.#takePlace(model, folder);
        await syncFolder(join(this.#path, model.name));
        await syncFolder(this.#path);
      },
    });
    return { ...model, fresh, proof, leftOut, activated: undefined };
  }

  async #takePlace(model: ExactModel, folder: string): Promise<void> {
    try {
      await rename(folder, this.#folderOf(model));
    } catch (error) {
      // A training, which needs no lock, has written it meanwhile.
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error))) throw await this.#taken(model, 'its folder');
      throw error;
    }
  }

  async #activate(
    model: ExactModel,
    action: 'activate' | 'rollback',
    actor: string,
    known?: ModelProof,
  ): Promise<Activated> {
    const { name, version } = model;
    const act: Act = { actor, action, model: name, version, detail: {} };
    let previous: number | undefined;
    const check = async (): Promise<void> => {
      await this.#directory.checkExists(model);
      await this.#checkNotPinned(model);
      await this.#checkFits(model);
      if (action === 'rollback' && (await previousVersion(this.#path, name)) !== version)
        throw registryFailure('models-busy', `Another version of ${name} was activated meanwhile`);
      // One that cannot be read is written anew.
      previous = await readPointer(join(this.#path, name, 'active'));
      act.detail['previous'] = previous ?? null;
    };
    const activated = await this.#attempt(act, async () => {
      // What is refused anyhow need not be proved first.
      await check();
      // A return to the version before must succeed on a busy machine too.
      const ifTooSlow = action === 'rollback' ? 'report' : 'refuse';
      const proof = known ?? (await this.#prover.prove(model, this.#path, ifTooSlow));
      Object.assign(act.detail, proof);
      await this.#acts.commit(act, {
        check: async () => {
          await check();
          await this.#checkIsProved(model, proof);
        },
        change: () => writeActiveVersion(this.#path, name, version),
      });
      return { ...model, previous, proof };
    });
    this.#options.onActivated?.();
    return activated;
  }

  async #checkNotPinned({ name, version }: ExactModel): Promise<void> {
    const pinned = await pinnedVersion(this.#path, name);
    if (pinned === undefined || pinned === version) return;
    throw registryFailure(
      'model-pinned',
      `${name}@${pinned} is pinned, so ${name}@${version} cannot become active: andon models unpin ${name}`,
    );
  }

  async #checkFits(model: ExactModel): Promise<void> {
    const stored = await this.#directory.find(model);
    await this.#directory.checkFallback(stored);
    const misfits = this.#options.misfits(stored.manifest);
    if (misfits.length > 0) throw registryFailure('model-watch-misfit', misfits.join('; '));
  }

  /** Somebody may have written into the version's folder since. */
  async #checkIsProved(model: ExactModel, { sha256 }: ModelProof): Promise<void> {
    const stored = await this.#directory.find(model);
    if (stored.sha256 !== sha256)
      throw registryFailure('models-busy', `${formatModelReference(model)} was changed while it was being proved`);
  }

  async #checkRemovable(
    model: ExactModel,
    inUse: Awaited<ReturnType<VersionRegistryOptions['inUse']>>,
    force: boolean,
  ): Promise<void> {
    const { name, version } = model;
    const label = formatModelReference(model);
    await this.#directory.checkExists(model);
    if ((await this.#directory.activeVersion(name)) === version)
      throw registryFailure('model-version-in-use', `${label} is active; activate another version first`);
    if ((await pinnedVersion(this.#path, name)) === version)
      throw registryFailure('model-pinned', `${label} is pinned: andon models unpin ${name}`);
    const user = inUse.find((used) => used.name === name && used.version === version);
    if (user !== undefined) throw registryFailure('model-version-in-use', `${label} is in use: ${user.by}`);
    const previous = await previousVersion(this.#path, name).catch(() => undefined);
    if (previous === version && !force)
      throw registryFailure(
        'model-version-in-use',
        `${label} is what a rollback would go back to; it is removed only by force (--force)`,
      );
  }

  /**
   * Whether the very same package is there already.
   * @throws {OperatingError} 'model-version-taken' where another has its place.
   */
  async #isInstalled(model: ExactModel, folder: string): Promise<boolean> {
    if (!(await this.#directory.versions(model.name)).includes(model.version)) return false;
    const file = await differingFile(folder, this.#folderOf(model));
    if (file !== undefined) throw await this.#taken(model, file);
    return true;
  }

  async #taken(model: ExactModel, what: string): Promise<OperatingError> {
    const free = Math.max(0, ...(await this.#directory.versions(model.name))) + 1;
    return registryFailure(
      'model-version-taken',
      `${formatModelReference(model)} is there already and is another (${what} differs); the next free version is ${free}`,
    );
  }

  #folderOf({ name, version }: ExactModel): string {
    return join(this.#path, name, String(version));
  }
}
