import type { EpochMs } from '../../domain/epoch-ms.ts';
import type { ModelStanding } from '../../domain/rollout/rollout-plan.ts';
import type { AnyManifest } from '../model-manifest.ts';
import type { ExactModel } from '../model-registry.ts';

/** A model of the model directory. */
export type ListedModel = ModelStanding & {
  readonly name: string;
  /** In ascending order. */
  readonly versions: readonly number[];
  /** Why the model cannot be read; undefined if it can. */
  readonly problem: string | undefined;
};

/** A version as it is on disk. */
export type ListedVersion = ExactModel & {
  /** Time at which its `model.yaml` was written. */
  readonly writtenMs: EpochMs;
  /** Size of all its files. */
  readonly bytes: number;
  /** Display name of the trusted key that signed it; undefined without `models.trust`. */
  readonly signedBy: string | undefined;
  /** Without golden vectors; undefined if it cannot be used. */
  readonly manifest: AnyManifest | undefined;
  /** Why it cannot be used; undefined if it can. */
  readonly problem: string | undefined;
};

export type VersionDocument = { readonly file: string; readonly bytes: number };

/** Everything about a version that is not a value of its graph. */
export type VersionDetail = ListedVersion & {
  readonly goldenVectors: number;
  /** Inputs of the first golden vector; undefined if there is none, or if it is large. */
  readonly example: AnyManifest['golden'][number]['inputs'] | undefined;
  readonly signature: {
    readonly state: 'unsigned' | 'trusted' | 'unchecked' | 'refused';
    readonly key: string | undefined;
    readonly reason: string | undefined;
  };
  /** Files next to the graph, such as the report of a training. */
  readonly documents: readonly VersionDocument[];
};

/** Reads the model directory, for display. */
export interface ModelCatalogue {
  /** @returns The models after a name, in alphabetical order, at most `limit`; `more` if there are others after them. */
  models(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly models: readonly ListedModel[]; readonly more: boolean }>;
  /**
   * @returns The versions below a number, the newest first, at most `limit`; `more` if there are others below them.
   * @throws {OperatingError} 'model-version-unknown' for an unknown model.
   */
  versions(
    name: string,
    before: number | undefined,
    limit: number,
  ): Promise<{ readonly versions: readonly ListedVersion[]; readonly more: boolean }>;
  /** @throws {OperatingError} 'model-version-unknown'. */
  version(model: ExactModel): Promise<VersionDetail>;
  /** Reads a document of a version. @throws {OperatingError} 'model-version-unknown', 'model-document-unknown'. */
  document(model: ExactModel, file: string): Promise<Uint8Array>;
}
