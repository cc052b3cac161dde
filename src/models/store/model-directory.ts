import type { ModelReference } from '../../domain/model/model-reference.ts';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnyManifest, ModelManifest } from '../../contracts/model-manifest.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { ConfigError, type ConfigProblem, errorCode, errorMessage, OperatingError } from '../../platform/errors.ts';
import { inferenceFailure } from '../errors/inference-failure.ts';
import { registryFailure } from '../errors/registry-errors.ts';
import { readManifestAside } from './manifest-process.ts';
import { sha256 } from '../../platform/sha256.ts';
import { readBounded, readModelFile } from './model-file.ts';
import type { ModelsConfig } from './models-config.ts';
import { fallbackProblem } from './fallback-fit.ts';
import { remoteFailure } from '../errors/remote-errors.ts';
import { type SignatureReport, signatureReport } from '../signing/signature-report.ts';
import { type TrustedKey, trustedKeys } from '../signing/trusted-keys.ts';
import { trustVersion } from '../signing/version-trust.ts';

/** Most of a manifest are the golden vectors of wide windows. */
export const MANIFEST_BYTES_MAX = 8_000_000;
const ACTIVE_BYTES_MAX = 64;

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const versionPattern = /^[1-9]\d{0,8}$/;

/** A version on disk, whose manifest matches its folders. */
export type StoredModel = {
  readonly name: string;
  readonly version: number;
  readonly modelPath: string;
  readonly manifest: AnyManifest;
  /** SHA-256 of model.onnx, or of model.yaml for a remote model. */
  readonly sha256: string;
  /** Display name of the trusted key that signed it; undefined without `models.trust`. */
  readonly signedBy: string | undefined;
};

type ModelLocation = { readonly name: string; readonly version: number; readonly folder: string };

/** A model that a watch may use. */
export type StoredWatchModel = StoredModel & { readonly manifest: ModelManifest };

/**
 * Reads `models/<name>/<version>/model.onnx` and `model.yaml`; `models/<name>/active` names the active version.
 *
 * Every read has a size limit and stays inside the directory, also through links. Every user of a model calls `find`,
 * so with `models.trust` no version is used that no trusted key signed.
 */
export class ModelDirectory {
  readonly #path: string;
  readonly #modelBytesMax: number;
  readonly #trusted: readonly TrustedKey[] | undefined;
  readonly #manifestLengthMax: number | undefined;

  /**
   * @param path An absolute path.
   * @param options.trusted Keys of which one must have signed a version; undefined accepts any version.
   * @param options.manifestLengthMax Longer texts of manifests are read in a process. Default: as in `readManifestAside`.
   */
  constructor(
    path: string,
    options: {
      readonly modelBytesMax: number;
      readonly trusted: readonly TrustedKey[] | undefined;
      readonly manifestLengthMax?: number;
    },
  ) {
    this.#path = path;
    this.#modelBytesMax = options.modelBytesMax;
    this.#trusted = options.trusted;
    this.#manifestLengthMax = options.manifestLengthMax;
  }

  /**
   * Returns the configured model directory.
   *
   * @throws {OperatingError} 'signing-key-invalid'
   */
  static of(
    { directory, maxModelSizeBytes, trust }: ModelsConfig,
    options: { readonly manifestLengthMax?: number } = {},
  ): ModelDirectory {
    return new ModelDirectory(directory, {
      modelBytesMax: maxModelSizeBytes,
      trusted: trustedKeys(trust),
      ...options,
    });
  }

  /** Returns the names in alphabetical order; none if the directory does not exist. */
  async names(): Promise<readonly string[]> {
    return (await folders(this.#path)).filter((name) => namePattern.test(name)).toSorted();
  }

  /** Returns the versions in ascending order. */
  async versions(name: string): Promise<readonly number[]> {
    if (!namePattern.test(name)) return [];
    const found = await folders(join(this.#path, name));
    return found
      .filter((version) => versionPattern.test(version))
      .map(Number)
      .toSorted((a, b) => a - b);
  }

  /** @throws {OperatingError} 'model-version-unknown' if the model or the version does not exist. */
  async checkExists({ name, version }: ModelReference): Promise<void> {
    const versions = await this.versions(name);
    if (versions.length === 0)
      throw registryFailure('model-version-unknown', `There is no model '${name.slice(0, 64)}' in ${this.#path}`);
    if (version !== undefined && !versions.includes(version))
      throw registryFailure(
        'model-version-unknown',
        `Model '${name}' has versions ${versions.join(', ')}, not ${version}`,
      );
  }

  /**
   * Returns the version in `active`; undefined if the file is missing, because no version was activated.
   *
   * @throws {OperatingError} 'model-file-invalid' if the file holds no version.
   */
  async activeVersion(name: string): Promise<number | undefined> {
    const path = join(this.#path, name, 'active');
    const bytes = await this.#bytesIfAny(path, ACTIVE_BYTES_MAX);
    if (bytes === undefined) return undefined;
    const text = new TextDecoder().decode(bytes);
    if (!versionPattern.test(text.trim()))
      throw inferenceFailure('model-file-invalid', `${path} holds '${text.trim()}', expected a version number`);
    return Number(text.trim());
  }

  /**
   * Finds a model, checks its signature and reads its manifest. `model.onnx` is not opened.
   *
   * @throws {ConfigError} Every problem of its model.yaml, with line and column.
   * @throws {OperatingError} 'model-absent', 'model-file-invalid', 'model-untrusted'.
   */
  async find(model: ModelReference): Promise<StoredModel> {
    const { name, version, folder } = await this.locate(model);
    const file = join(folder, 'model.yaml');
    const bytes = await this.#bytesIfAny(file, MANIFEST_BYTES_MAX);
    if (bytes === undefined) throw inferenceFailure('model-file-invalid', await this.#noManifest(name, version, file));
    const signed =
      this.#trusted === undefined
        ? undefined
        : await trustVersion(
            { label: `${name}@${version}`, folder, manifest: bytes, bytesMax: this.#modelBytesMax },
            this.#trusted,
          );
    const text = new TextDecoder().decode(bytes);
    const { manifest, problems } = await readManifestAside(
      { file, text, expected: { name, version } },
      this.#manifestLengthMax,
    );
    if (manifest === undefined) throw new ConfigError(problems);
    if (manifest.sha256 !== undefined) signed?.checkGraph(manifest.sha256);
    return {
      name,
      version,
      modelPath: join(folder, 'model.onnx'),
      manifest,
      sha256: manifest.sha256 ?? sha256(bytes),
      signedBy: signed?.key,
    };
  }

  /**
   * Returns the folder of a model without reading any of its files.
   *
   * @throws {OperatingError} 'model-absent' if no version was given and none is active; 'model-file-invalid'.
   */
  async locate({ name, version: wanted }: ModelReference): Promise<ModelLocation> {
    if (!namePattern.test(name)) throw inferenceFailure('model-file-invalid', `'${name}' is not the name of a model`);
    const version = wanted ?? (await this.activeVersion(name));
    if (version === undefined) throw inferenceFailure('model-absent', await this.#noActiveVersion(name));
    return { name, version, folder: join(this.#path, name, String(version)) };
  }

  /** Checks the signature against every byte of the files, for display. Only `find` decides whether a version is used. */
  async signature(model: ModelReference): Promise<SignatureReport> {
    try {
      const { folder } = await this.locate(model);
      return await signatureReport(folder, this.#trusted, this.#modelBytesMax);
    } catch (error) {
      if (error instanceof OperatingError) return { state: 'refused', reason: error.message };
      throw error;
    }
  }

  /**
   * Finds a model and checks that a watch may use it.
   *
   * @throws {ConfigError} Every problem of its model.yaml, with line and column.
   * @throws {OperatingError} 'model-untrusted'; 'model-file-invalid', also if the model judges no windows.
   */
  async findForWatch(model: ModelReference): Promise<StoredWatchModel> {
    const stored = await this.find(model);
    const { manifest } = stored;
    if (judgesWindows(manifest)) return { ...stored, manifest };
    throw inferenceFailure(
      'model-file-invalid',
      `Model ${stored.name}@${stored.version} cannot be used by a watch: its model.yaml has no tags, window and threshold. Only clients may run it`,
    );
  }

  /**
   * Checks a version without running it: signature, manifest, size, SHA-256, external data, and the fallback of a remote
   * model.
   *
   * @returns The problems, each with its file and line.
   */
  async check(model: ModelReference): Promise<readonly ConfigProblem[]> {
    try {
      const stored = await this.find(model);
      if (stored.manifest.runtime === 'local') await this.readModel(stored);
      await this.checkFallback(stored);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      if (!(error instanceof OperatingError)) throw error;
      const file = join(this.#path, model.name, String(model.version ?? 'active'));
      return [{ file, line: 1, column: 1, path: '', message: error.message }];
    }
  }

  /**
   * Checks that the fallback of a remote version can judge in its place.
   *
   * @throws {OperatingError} 'remote-fallback-unfit'
   */
  async checkFallback({ name, version, manifest }: StoredModel): Promise<void> {
    const problem = await fallbackProblem(manifest, this);
    if (problem !== undefined) throw remoteFailure('remote-fallback-unfit', `Model ${name}@${version}: ${problem}`);
  }

  /**
   * Reads `model.onnx` as `readModelFile` does.
   *
   * @throws {OperatingError} 'model-file-invalid'.
   */
  async readModel(stored: StoredModel): Promise<Uint8Array> {
    return readModelFile(stored, this.#path, this.#modelBytesMax);
  }

  async #noActiveVersion(name: string): Promise<string> {
    const versions = await this.versions(name);
    if (versions.length === 0) return `There is no model '${name}' in ${this.#path}`;
    return `Model '${name}' has versions ${versions.join(', ')}, but none is active: andon models activate ${name}@${versions.at(-1)}`;
  }

  /**
   * Returns the message for a missing manifest. If there is a graph, the message has the smallest manifest for it: andon
   * does not create one, because nothing proves that these bytes are the intended model.
   */
  async #noManifest(name: string, version: number, file: string): Promise<string> {
    try {
      const path = join(this.#path, name, String(version), 'model.onnx');
      const digest = sha256(await readBounded(path, this.#path, this.#modelBytesMax));
      const text = `{ name: ${name}, version: ${version}, task: other, sha256: ${digest}, golden: [] }`;
      return `${file} is missing. To serve the graph unverified, create it with: ${text}`;
    } catch {
      return `${file} is missing`;
    }
  }

  async #bytesIfAny(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    try {
      return await readBounded(path, this.#path, bytesMax);
    } catch (error) {
      if (error instanceof Error && errorCode(error.cause) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

async function folders(path: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw inferenceFailure('model-file-invalid', `${path}: ${errorMessage(error)}`, { cause: error });
  }
}
