import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExactModel, Installed, InstallRequest, ModelProof } from '../contracts/model-registry.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { registryFailure } from '../models/errors/registry-errors.ts';
import { checkMayHaveSecrets } from '../models/store/allowed-servers.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import type { Clock } from '../platform/clock.ts';
import { syncFolder } from '../platform/durable-file.ts';
import { errorCode, type OperatingError } from '../platform/errors.ts';
import type { Operation, RegistryTransactions } from './operations/registry-transactions.ts';
import { differingFile } from './package/package-files.ts';
import { packageIdentity, packageOrigin, receivePackage } from './package/model-package.ts';
import { StagingFolder } from './package/staging-folder.ts';
import type { ModelProver } from './proof/model-prover.ts';

export type PackageInstallerOptions = {
  readonly config: ModelsConfig;
  readonly transactions: RegistryTransactions;
  readonly prover: ModelProver;
  readonly clock: Clock;
  /** Cancels the installation. */
  readonly signal: AbortSignal;
};

/** A slow server must not keep others out. */
const RECEIVING_MAX = 4;

/** Receives packages, at most four at a time, proves its version in a staging folder and moves it into the model directory. */
export class PackageInstaller {
  readonly #options: PackageInstallerOptions;
  readonly #path: string;
  readonly #directory: ModelDirectory;
  #receiving = 0;

  constructor(options: PackageInstallerOptions) {
    this.#options = options;
    this.#path = options.config.directory;
    this.#directory = ModelDirectory.of(options.config);
  }

  /** Installs a package. Its model, version and proof are set in the operation, also if it fails later. */
  async install(request: InstallRequest, operation: Operation): Promise<Installed> {
    if (this.#receiving >= RECEIVING_MAX)
      throw registryFailure(
        'models-busy',
        `${RECEIVING_MAX} packages are being installed. Try again when one has finished`,
      );
    this.#receiving += 1;
    try {
      const { config, transactions, clock, signal } = this.#options;
      await using staging = await transactions.locked(() => StagingFolder.make(this.#path));
      const folder = join(staging.path, 'package');
      await mkdir(folder);
      // Set before the package arrives, so that a refusal is logged with its origin.
      Object.assign(operation.detail, packageOrigin(request.source));
      const received = await receivePackage(request, { folder, scratch: staging.path, config, clock, signal });
      if (received.archiveSha256 !== undefined) operation.detail['archive_sha256'] = received.archiveSha256;
      const model = await packageIdentity(folder);
      operation.model = model.name;
      operation.version = model.version;
      // The same layout as in the model directory, so that the same checks apply.
      const staged = join(staging.path, 'models');
      await mkdir(join(staged, model.name), { recursive: true });
      await rename(folder, versionFolder(staged, model));
      return { ...(await this.#place(model, staged, request, operation)), leftOut: received.leftOut };
    } finally {
      this.#receiving -= 1;
    }
  }

  /** Proves a staged version and moves it into the model directory. */
  async #place(model: ExactModel, staged: string, request: InstallRequest, operation: Operation) {
    const folder = versionFolder(staged, model);
    let proof: ModelProof | undefined;
    if (!(await this.#isInstalled(model, folder))) {
      const { config, prover } = this.#options;
      const { remote } = (await ModelDirectory.of({ ...config, directory: staged }).find(model)).manifest;
      if (remote !== undefined) checkMayHaveSecrets(remote, config);
      request.onProgress?.({ stage: 'verifying', model: formatModelReference(model) });
      proof = await prover.prove(model, staged);
      Object.assign(operation.detail, proof);
      await syncFolder(folder);
    }
    let fresh = true;
    await this.#options.transactions.commit(operation, {
      check: async () => {
        fresh = !(await this.#isInstalled(model, folder));
        if (!fresh) operation.detail['already_installed'] = true;
      },
      change: async () => {
        if (!fresh) return;
        await mkdir(join(this.#path, model.name), { recursive: true });
        await this.#move(model, folder);
        await syncFolder(join(this.#path, model.name));
        await syncFolder(this.#path);
      },
    });
    return { ...model, fresh, proof, activated: undefined };
  }

  async #move(model: ExactModel, folder: string): Promise<void> {
    try {
      await rename(folder, versionFolder(this.#path, model));
    } catch (error) {
      // A training, which does not take the lock, has written this version meanwhile.
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(error))) throw await this.#taken(model, 'its folder');
      throw error;
    }
  }

  /**
   * Returns whether the same package is installed already.
   *
   * @throws {OperatingError} 'model-version-taken' if another package has this version.
   */
  async #isInstalled(model: ExactModel, folder: string): Promise<boolean> {
    if (!(await this.#directory.versions(model.name)).includes(model.version)) return false;
    const file = await differingFile(folder, versionFolder(this.#path, model));
    if (file !== undefined) throw await this.#taken(model, file);
    return true;
  }

  async #taken(model: ExactModel, difference: string): Promise<OperatingError> {
    const free = Math.max(0, ...(await this.#directory.versions(model.name))) + 1;
    return registryFailure(
      'model-version-taken',
      `${formatModelReference(model)} exists with other contents (${difference} differs). The next free version is ${free}`,
    );
  }
}

export function versionFolder(directory: string, { name, version }: ExactModel): string {
  return join(directory, name, String(version));
}
