import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry, InstallRequest, PackageSource } from '../../src/contracts/model-registry.ts';
import type { VersionRegistryOptions } from '../../src/registry/version-registry.ts';
import { VersionRegistry } from '../../src/registry/version-registry.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { writePackage } from './model-packages.ts';
import type { TestModel } from './onnx-directory.ts';
import { hostEntry } from './onnx-host-harness.ts';
import { testDeps } from './test-deps.ts';

export type HarnessOptions = Partial<Pick<VersionRegistryOptions, 'inUse' | 'misfits'>> & {
  readonly config?: Readonly<Record<string, unknown>>;
};

/** A model directory that begins empty, the library that changes it, and a place for packages. */
export class RegistryHarness implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), 'andon-library-'));
  readonly models = join(this.path, 'models');
  readonly deps: Deps = testDeps();
  readonly library: VersionRegistry;
  activations = 0;
  readonly #options: HarnessOptions;
  #packages = 0;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.library = this.open();
  }

  /** Another registry on the same directory, as another process has. */
  open(config = this.#options.config): VersionRegistry {
    const { inUse, misfits } = this.#options;
    return new VersionRegistry({
      entry: hostEntry,
      config: modelsConfigSchema.parse({ directory: this.models, ...config }),
      inUse: inUse ?? (() => Promise.resolve([])),
      misfits: misfits ?? (() => []),
      onActivated: () => (this.activations += 1),
      deps: this.deps,
    });
  }

  /** As a folder. */
  package(model: TestModel): PackageSource {
    this.#packages += 1;
    return { kind: 'folder', path: writePackage(join(this.path, `package-${this.#packages}`), model) };
  }

  async install(model: TestModel, order: Partial<InstallRequest> = {}) {
    const source = order.source ?? this.package(model);
    return this.library.install({ sha256: undefined, activate: false, ...order, source }, 'cli:tester');
  }

  /** What the file `active`, `previous` or `pinned` of a model says. */
  pointer(name: string, file: 'active' | 'previous' | 'pinned'): number | undefined {
    const path = join(this.models, name, file);
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
  }

  versions(name: string): readonly string[] {
    const folder = join(this.models, name);
    return existsSync(folder)
      ? readdirSync(folder)
          .filter((entry) => /^\d+$/.test(entry))
          .toSorted()
      : [];
  }

  /** What is left in the staging area: nothing, once every act has ended. */
  staged(): readonly string[] {
    const area = join(this.models, '.staging');
    return existsSync(area) ? readdirSync(area) : [];
  }

  /** The log, whose chain must hold. */
  async audit(): Promise<readonly AuditEntry[]> {
    const { entries, broken } = await this.library.audit();
    if (broken !== undefined) throw new Error(`The log is broken: ${JSON.stringify(broken)}`);
    return entries;
  }

  /** `install pump@2 ok`, a line each. */
  async acts(): Promise<readonly string[]> {
    return (await this.audit()).map(({ action, model, version, outcome }) =>
      [action, version === null ? model : `${model}@${version}`, outcome].join(' '),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.library[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true, force: true });
  }
}
