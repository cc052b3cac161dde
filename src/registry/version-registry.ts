import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnyManifest } from '../contracts/model-manifest.ts';
import type { AuditEntry, ModelAction } from '../contracts/model-audit-entry.ts';
import type {
  Activated,
  AuditReport,
  ExactModel,
  Installed,
  InstallRequest,
  ModelProof,
  ModelRegistry,
} from '../contracts/model-registry.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { registryFailure } from '../models/errors/registry-errors.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { Deps } from '../platform/deps.ts';
import { syncFolder } from '../platform/durable-file.ts';
import { OperatingError } from '../platform/errors.ts';
import { modelAudit } from './audit/audit-chain.ts';
import type { AuditConfig } from './audit/audit-key.ts';
import { AuditLog } from './audit/audit-log.ts';
import { isApplied } from './operations/applied-operation.ts';
import { clearRejection } from './operations/rejected-versions.ts';
import { type Operation, RegistryTransactions } from './operations/registry-transactions.ts';
import {
  forgetPreviousVersion,
  pinnedVersion,
  previousVersion,
  readPointer,
  writeActiveVersion,
  writePinnedVersion,
} from './operations/version-pointers.ts';
import { checkNotRejected, readStanding, rollbackTarget } from './operations/version-standing.ts';
import { PackageInstaller, versionFolder } from './package-installer.ts';
import { StagingFolder } from './package/staging-folder.ts';
import { ModelProver } from './proof/model-prover.ts';

export type VersionRegistryOptions = {
  /** Entry file of the inference host. */
  readonly entry: URL;
  /** `directory` is an absolute path. */
  readonly config: ModelsConfig;
  readonly audit: AuditConfig;
  /** Returns the versions that are in use for other reasons than being active, each with its user. */
  readonly inUse: () => Promise<readonly (ExactModel & { readonly by: string })[]>;
  /** Returns why watches that name the model cannot use this version; empty if all can. */
  readonly incompatibilities: (manifest: AnyManifest) => readonly string[];
  /** Called after an active version was written. */
  readonly onActivated?: () => void;
  readonly deps: Deps;
};

/** Changes the model directory, for the commands and for HTTP. */
export class VersionRegistry implements ModelRegistry, AsyncDisposable {
  readonly #options: VersionRegistryOptions;
  readonly #path: string;
  readonly #directory: ModelDirectory;
  readonly #audit: AuditLog<AuditEntry>;
  readonly #transactions: RegistryTransactions;
  readonly #prover: ModelProver;
  readonly #installer: PackageInstaller;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: VersionRegistryOptions) {
    const { entry, config, audit, deps } = options;
    const { signal } = this.#stopping;
    this.#options = options;
    this.#path = config.directory;
    this.#directory = ModelDirectory.of(config);
    this.#audit = new AuditLog({ directory: config.directory, config: audit, format: modelAudit, clock: deps.clock });
    this.#transactions = new RegistryTransactions({
      directory: config.directory,
      audit: this.#audit,
      isApplied: (record) => isApplied(record, this.#directory, this.#path),
      deps,
    });
    this.#prover = new ModelProver({ entry, config, deps, signal });
    this.#installer = new PackageInstaller({
      config,
      transactions: this.#transactions,
      prover: this.#prover,
      clock: deps.clock,
      signal,
    });
  }

  async install(request: InstallRequest, actor: string): Promise<Installed> {
    const operation = newOperation(actor, 'install', { name: '', version: null });
    const installed = await this.#attempt(operation, () => this.#installer.install(request, operation));
    if (!request.activate) return installed;
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
    const operation = newOperation(actor, 'rollback', { name, version: null });
    const version = await this.#attempt(operation, async () => {
      await this.#directory.checkExists({ name, version: undefined });
      const previous = await previousVersion(this.#path, name);
      await checkNotRejected(this.#path, name, previous);
      return previous;
    });
    return this.#activate({ name, version }, 'rollback', actor);
  }

  /**
   * Rolls back from a version that failed in operation, if it is still active. The previous version is not proved
   * again: it has judged in parallel until now.
   *
   * @throws {OperatingError} 'model-rollback-refused' if the version is pinned or has no usable previous version.
   */
  async rollbackFrom({ name, version: from }: ExactModel, because: string): Promise<void> {
    const operation = newOperation('agent', 'rollback', { name, version: null }, { from, because });
    await this.#attempt(operation, async () => {
      const target = async () => rollbackTarget(name, from, await readStanding(this.#path, name));
      const version = await target();
      if (version === undefined) return;
      operation.version = version;
      await this.#transactions.commit(operation, {
        check: async () => {
          if ((await target()) !== version) throw changedMeanwhile(name);
        },
        change: () => writeActiveVersion(this.#path, name, version),
      });
    });
    this.#options.onActivated?.();
  }

  async pin(model: ExactModel, actor: string): Promise<void> {
    const { name, version } = model;
    const check = async (): Promise<void> => {
      await this.#directory.checkExists(model);
      const active = await this.#directory.activeVersion(name);
      if (active === version) return;
      const found = active === undefined ? 'No version is active' : `Version ${active} is active`;
      throw registryFailure(
        'model-version-not-active',
        `${name}@${version} cannot be pinned, because only the active version can. ${found}`,
      );
    };
    await this.#change(newOperation(actor, 'pin', model), check, () => writePinnedVersion(this.#path, name, version));
  }

  async unpin(name: string, actor: string): Promise<number | undefined> {
    const operation = newOperation(actor, 'unpin', { name, version: null });
    let pinned: number | undefined;
    const check = async (): Promise<void> => {
      await this.#directory.checkExists({ name, version: undefined });
      // A damaged `pinned` file is deleted too.
      pinned = await pinnedVersion(this.#path, name).catch(() => undefined);
      operation.version = pinned ?? null;
    };
    await this.#change(operation, check, () => writePinnedVersion(this.#path, name, undefined));
    return pinned;
  }

  async remove(model: ExactModel, { force }: { readonly force: boolean }, actor: string): Promise<void> {
    const { name, version } = model;
    const operation = newOperation(actor, 'remove', model, force ? { force } : {});
    await this.#attempt(operation, async () => {
      const inUse = await this.#options.inUse();
      await using staging = await this.#transactions.locked(() => StagingFolder.make(this.#path));
      await this.#transactions.commit(operation, {
        check: () => this.#checkRemovable(model, inUse, force),
        change: async () => {
          await rename(versionFolder(this.#path, model), join(staging.path, 'removed'));
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

  /** Logs a version that a training has written. */
  async recordTraining(model: ExactModel, actor: string): Promise<void> {
    const check = () => this.#directory.checkExists(model);
    await this.#change(newOperation(actor, 'train', model), check, () => Promise.resolve());
  }

  /** Cancels running operations, which change nothing then, and waits for their end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }

  #change(operation: Operation, check: () => Promise<void>, change: () => Promise<void>): Promise<void> {
    return this.#attempt(operation, () => this.#transactions.commit(operation, { check, change }));
  }

  async #attempt<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    const running = this.#transactions.attempt(operation, () => {
      if (this.#stopping.signal.aborted)
        throw registryFailure('models-busy', 'The agent is stopping. Try again when it runs');
      return work();
    });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #activate(
    model: ExactModel,
    action: 'activate' | 'rollback',
    actor: string,
    known?: ModelProof,
  ): Promise<Activated> {
    const { name, version } = model;
    const operation = newOperation(actor, action, model);
    let previous: number | undefined;
    const check = async (): Promise<void> => {
      await this.#directory.checkExists(model);
      await this.#checkNotPinned(model);
      await this.#checkFits(model);
      if (action === 'rollback' && (await previousVersion(this.#path, name)) !== version) throw changedMeanwhile(name);
      // A damaged `active` file is replaced.
      previous = await readPointer(join(this.#path, name, 'active'));
      operation.detail['previous'] = previous ?? null;
    };
    const activated = await this.#attempt(operation, async () => {
      // The proof takes seconds, so what is refused without it is refused first.
      await check();
      // A return to the version before must succeed on a busy machine too.
      const ifTooSlow = action === 'rollback' ? 'report' : 'refuse';
      const proof = known ?? (await this.#prover.prove(model, this.#path, ifTooSlow));
      Object.assign(operation.detail, proof);
      await this.#transactions.commit(operation, {
        check: async () => {
          await check();
          await this.#checkUnchanged(model, proof);
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
      `${name}@${pinned} is pinned, so ${name}@${version} cannot become active. To remove the pin: andon models unpin ${name}`,
    );
  }

  async #checkFits(model: ExactModel): Promise<void> {
    const stored = await this.#directory.find(model);
    await this.#directory.checkFallback(stored);
    const incompatibilities = this.#options.incompatibilities(stored.manifest);
    if (incompatibilities.length > 0) throw registryFailure('model-watch-incompatible', incompatibilities.join('; '));
  }

  /** Checks that the files of the version are those that were proved. */
  async #checkUnchanged(model: ExactModel, { sha256 }: ModelProof): Promise<void> {
    if ((await this.#directory.find(model)).sha256 === sha256) return;
    throw registryFailure(
      'models-busy',
      `The files of ${formatModelReference(model)} were changed during its proof. Try again`,
    );
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
      throw registryFailure('model-version-in-use', `${label} is active. Activate another version first`);
    if ((await pinnedVersion(this.#path, name)) === version)
      throw registryFailure('model-pinned', `${label} is pinned. To remove the pin: andon models unpin ${name}`);
    const use = inUse.find((used) => used.name === name && used.version === version);
    if (use !== undefined) throw registryFailure('model-version-in-use', `${label} is in use: ${use.by}`);
    const previous = await previousVersion(this.#path, name).catch(() => undefined);
    if (previous === version && !force)
      throw registryFailure(
        'model-version-in-use',
        `${label} is the version that a rollback would activate. To remove it nevertheless: --force`,
      );
  }
}

function newOperation(
  actor: string,
  action: ModelAction,
  { name, version }: { readonly name: string; readonly version: number | null },
  detail: Record<string, unknown> = {},
): Operation {
  return { actor, action, model: name, version, detail };
}

function changedMeanwhile(name: string): OperatingError {
  return registryFailure('models-busy', `Another version of ${name} was activated meanwhile. Try again`);
}
