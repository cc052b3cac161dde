import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEntry } from '../../src/contracts/model-audit-entry.ts';
import type { InstallRequest, PackageSource } from '../../src/contracts/model-registry.ts';
import { VersionRegistry, type VersionRegistryOptions } from '../../src/registry/version-registry.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { writePackage } from './model-packages.ts';
import type { TestModel } from './onnx-directory.ts';
import { hostEntry } from './onnx-host-harness.ts';
import { testDeps } from './test-deps.ts';

export type HarnessOptions = Partial<Pick<VersionRegistryOptions, 'inUse' | 'incompatibilities' | 'audit'>> & {
  readonly config?: Readonly<Record<string, unknown>>;
};

/** An empty model directory, its registry, and a folder for packages. */
export class RegistryHarness implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), 'andon-registry-'));
  readonly models = join(this.path, 'models');
  readonly deps: Deps = testDeps();
  readonly registry: VersionRegistry;
  activations = 0;
  readonly #options: HarnessOptions;
  #packages = 0;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.registry = this.open();
  }

  /** Opens another registry on the same directory, as another process does. */
  open(config = this.#options.config, deps = this.deps): VersionRegistry {
    const { inUse, incompatibilities, audit } = this.#options;
    return new VersionRegistry({
      entry: hostEntry,
      config: modelsConfigSchema.parse({ directory: this.models, ...config }),
      audit: audit ?? { after: [] },
      inUse: inUse ?? (() => Promise.resolve([])),
      incompatibilities: incompatibilities ?? (() => []),
      onActivated: () => (this.activations += 1),
      deps,
    });
  }

  /** Writes a package as a folder. */
  package(model: TestModel): PackageSource {
    this.#packages += 1;
    return { kind: 'folder', path: writePackage(join(this.path, `package-${this.#packages}`), model) };
  }

  async install(model: TestModel, request: Partial<InstallRequest> = {}, registry = this.registry) {
    const source = request.source ?? this.package(model);
    return registry.install({ sha256: undefined, activate: false, ...request, source }, 'cli:tester');
  }

  /** The version in the file `active`, `previous` or `pinned` of a model. */
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

  /** Entries of the staging area; none when no operation runs. */
  staged(): readonly string[] {
    const area = join(this.models, '.staging');
    return existsSync(area) ? readdirSync(area) : [];
  }

  /** The entries of the audit log, whose chain must be intact. */
  async audit(): Promise<readonly AuditEntry[]> {
    const { entries, broken } = await this.registry.audit();
    if (broken !== undefined) throw new Error(`The log is broken: ${JSON.stringify(broken)}`);
    return entries;
  }

  /** The entries as text, such as `install pump@2 ok`. */
  async operations(): Promise<readonly string[]> {
    return (await this.audit()).map(({ action, model, version, outcome }) =>
      [action, version === null ? model : `${model}@${version}`, outcome].join(' '),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true, force: true });
  }
}
