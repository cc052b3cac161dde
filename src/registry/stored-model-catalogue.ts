import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  ListedModel,
  ListedVersion,
  ModelCatalogue,
  VersionDetail,
  VersionDocument,
} from '../contracts/models/model-catalogue.ts';
import type { AnyManifest } from '../contracts/model-manifest.ts';
import type { ExactModel } from '../contracts/model-registry.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { registryFailure } from '../models/errors/registry-errors.ts';
import { isFileName } from '../models/signing/file-name.ts';
import type { SignatureReport } from '../models/signing/signature-report.ts';
import { SIGNATURE_FILE } from '../models/signing/statement.ts';
import { readBounded } from '../models/store/model-file.ts';
import { ModelDirectory, type StoredModel } from '../models/store/model-directory.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { ConfigError, errorMessage, OperatingError } from '../platform/errors.ts';
import { readStanding } from './operations/version-standing.ts';
import { fileBytesMax, packageLimits } from './package/package-files.ts';

/** Details that are kept: to read a long model.yaml or to check a signature takes up to a second. */
const KEPT_MAX = 64;
/** Values of an example. A longer one is of no use in a form. */
const EXAMPLE_VALUES_MAX = 4_096;
const NOT_DOCUMENTS: ReadonlySet<string> = new Set(['model.onnx', 'model.yaml', SIGNATURE_FILE]);

type VersionFile = { readonly file: string; readonly bytes: number; readonly modifiedMs: number };
/** A version as it was read, and the state of its files at that time. */
type Kept = { readonly stamp: string; readonly detail: VersionDetail };

/** Reads the model directory, for display. Only `ModelDirectory.find` decides whether a version is used. */
export class StoredModelCatalogue implements ModelCatalogue {
  readonly #config: ModelsConfig;
  readonly #directory: ModelDirectory;
  /** By label, the latest last. */
  readonly #kept = new Map<string, Kept>();

  /** @param config `directory` is an absolute path. */
  constructor(config: ModelsConfig) {
    this.#config = config;
    this.#directory = ModelDirectory.of(config);
  }

  async models(after: string | undefined, limit: number): ReturnType<ModelCatalogue['models']> {
    const names = (await this.#directory.names()).filter((name) => after === undefined || name > after);
    const models = await Promise.all(names.slice(0, limit).map((name) => this.#model(name)));
    return { models, more: names.length > limit };
  }

  async versions(name: string, before: number | undefined, limit: number): ReturnType<ModelCatalogue['versions']> {
    await this.#directory.checkExists({ name, version: undefined });
    const numbers = (await this.#directory.versions(name)).filter((number) => before === undefined || number < before);
    const versions: ListedVersion[] = [];
    for (const version of numbers.toReversed().slice(0, limit)) versions.push(await this.version({ name, version }));
    return { versions, more: numbers.length > limit };
  }

  async version(model: ExactModel): Promise<VersionDetail> {
    await this.#directory.checkExists(model);
    const label = formatModelReference(model);
    const files = await this.#files(model);
    const stamp = JSON.stringify(files);
    const known = this.#kept.get(label);
    const detail = known?.stamp === stamp ? known.detail : await this.#read(model, files);
    this.#kept.delete(label);
    this.#kept.set(label, { stamp, detail });
    for (const oldest of this.#kept.keys()) if (this.#kept.size > KEPT_MAX) this.#kept.delete(oldest);
    return detail;
  }

  async document(model: ExactModel, file: string): Promise<Uint8Array> {
    await this.#directory.checkExists(model);
    const documents = documentsOf(await this.#files(model));
    if (!documents.some((document) => document.file === file))
      throw registryFailure(
        'model-document-unknown',
        `${formatModelReference(model)} has no document '${file.slice(0, 100)}'; it has ${documents.map((each) => each.file).join(', ') || 'none'}`,
      );
    const { directory, maxModelSizeBytes } = this.#config;
    const path = join(this.#folder(model), file);
    return readBounded(path, directory, fileBytesMax(packageLimits(maxModelSizeBytes), file));
  }

  async #model(name: string): Promise<ListedModel> {
    const versions = await this.#directory.versions(name);
    try {
      const standing = await readStanding(this.#config.directory, name);
      const activatedMs = standing.activatedMs && Math.round(standing.activatedMs);
      return { name, versions, ...standing, activatedMs, problem: undefined };
    } catch (error) {
      const none = { active: undefined, previous: undefined, pinned: false, activatedMs: undefined, rejected: [] };
      return { name, versions, ...none, problem: problemOf(error) };
    }
  }

  async #read(model: ExactModel, files: readonly VersionFile[]): Promise<VersionDetail> {
    const found = await this.#find(model);
    const stored = typeof found === 'string' ? undefined : found;
    const { golden = [], ...manifest } = stored?.manifest ?? {};
    return {
      ...model,
      writtenMs: files.find(({ file }) => file === 'model.yaml')?.modifiedMs ?? 0,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      signedBy: stored?.signedBy,
      manifest: stored && ({ ...manifest, golden: [] } as unknown as AnyManifest),
      problem: typeof found === 'string' ? found : undefined,
      goldenVectors: golden.length,
      example: exampleOf(golden[0]?.inputs),
      signature: shownSignature(await this.#directory.signature(model)),
      documents: documentsOf(files),
    };
  }

  async #find(model: ExactModel): Promise<StoredModel | string> {
    try {
      return await this.#directory.find(model);
    } catch (error) {
      return problemOf(error);
    }
  }

  /** Returns the plain files of a version, in order of their names. */
  async #files(model: ExactModel): Promise<readonly VersionFile[]> {
    const folder = this.#folder(model);
    const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      // It was removed meanwhile.
      const message = `${formatModelReference(model)} cannot be read: ${errorMessage(error)}`;
      throw registryFailure('model-version-unknown', message, { cause: error });
    });
    const files = entries.filter((entry) => entry.isFile() && isFileName(entry.name)).map(({ name }) => name);
    return Promise.all(
      files.toSorted().map(async (file) => {
        const { size, mtimeMs } = await stat(join(folder, file));
        return { file, bytes: size, modifiedMs: Math.round(mtimeMs) };
      }),
    );
  }

  #folder({ name, version }: ExactModel): string {
    return join(this.#config.directory, name, String(version));
  }
}

function problemOf(error: unknown): string {
  if (error instanceof ConfigError || error instanceof OperatingError) return error.message;
  throw error;
}

function documentsOf(files: readonly VersionFile[]): readonly VersionDocument[] {
  return files.filter(({ file }) => !NOT_DOCUMENTS.has(file)).map(({ file, bytes }) => ({ file, bytes }));
}

function exampleOf(inputs: VersionDetail['example']): VersionDetail['example'] {
  const count = Object.values(inputs ?? {}).reduce(
    (sum, values) => sum + (Array.isArray(values) ? values.length : values.data.length),
    0,
  );
  return count > 0 && count <= EXAMPLE_VALUES_MAX ? inputs : undefined;
}

function shownSignature(report: SignatureReport): VersionDetail['signature'] {
  switch (report.state) {
    case 'unsigned':
      return { state: report.state, key: undefined, reason: undefined };
    case 'refused':
      return { state: report.state, key: undefined, reason: report.reason };
    case 'trusted':
    case 'unchecked':
      return { state: report.state, key: report.key, reason: undefined };
  }
}
