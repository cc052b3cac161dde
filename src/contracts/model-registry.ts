import type { AuditEntry } from './model-audit-entry.ts';
import type { GoldenReport } from './model-session.ts';

/** The source of a package: a folder, or an archive of one. */
export type PackageSource =
  | { readonly kind: 'folder'; readonly path: string }
  /** A tar archive, with or without gzip; the bytes are read once. */
  | { readonly kind: 'archive'; readonly bytes: AsyncIterable<Uint8Array> }
  /** An archive that is fetched over HTTP or HTTPS. */
  | { readonly kind: 'url'; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export type InstallRequest = {
  readonly source: PackageSource;
  /** SHA-256 that the archive must have, 64 hexadecimal digits; undefined to accept any. */
  readonly sha256: string | undefined;
  readonly activate: boolean;
  readonly onProgress?: (progress: InstallProgress) => void;
};

/** `bytesTotal` is undefined if the sender does not report it. */
export type InstallProgress =
  | { readonly stage: 'receiving'; readonly bytes: number; readonly bytesTotal: number | undefined }
  | { readonly stage: 'verifying'; readonly model: string };

export type ExactModel = { readonly name: string; readonly version: number };

/** Times of runs of one row, from the request to the response of the host, as for the deadline. */
export type LatencyFigures = {
  readonly warmUpRuns: number;
  readonly runs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly deadlineMs: number;
};

/** Results of the proof of a version in a fresh host. */
export type ModelProof = {
  /** SHA-256 of model.onnx, or of model.yaml for a remote model. */
  readonly sha256: string;
  readonly provider: string;
  readonly golden: GoldenReport;
  /** Undefined for a graph without golden vectors that fails on zeros: there are no inputs to run it on. */
  readonly latency: LatencyFigures | undefined;
};

export type Installed = ExactModel & {
  /** False if the same version was installed already. */
  readonly fresh: boolean;
  readonly proof: ModelProof | undefined;
  /** Entries of a source folder that are not part of a package. */
  readonly leftOut: readonly string[];
  readonly activated: Activated | undefined;
};

export type Activated = ExactModel & {
  /** The version that was active before; undefined if none was. */
  readonly previous: number | undefined;
  readonly proof: ModelProof;
};

export type AuditReport = {
  /** All readable records before the first fault, oldest first. */
  readonly entries: readonly AuditEntry[];
  /** The first line that breaks the chain; undefined if the chain is intact. */
  readonly broken: { readonly file: string; readonly line: number; readonly reason: string } | undefined;
};

/**
 * Changes the model directory. One operation runs at a time, across all processes, and each is in the audit log.
 *
 * A version is proved before it is installed and before it becomes active. A version that fails changes nothing.
 * Every operation may be refused with {OperatingError} 'models-busy', 'model-directory-unusable' (retry).
 */
export interface ModelRegistry {
  /**
   * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large', 'model-version-taken', 'model-pinned'
   *   and the errors of the proof (reject); 'model-download-failed' (retry).
   */
  install(order: InstallRequest, actor: string): Promise<Installed>;
  /** @throws {OperatingError} 'model-version-unknown', 'model-pinned', and the errors of the proof (reject). */
  activate(model: ExactModel, actor: string): Promise<Activated>;
  /** @throws {OperatingError} As `activate`, and 'model-no-previous'. */
  rollback(name: string, actor: string): Promise<Activated>;
  /** Prevents any change of the active version. @throws {OperatingError} 'model-version-not-active' (reject). */
  pin(model: ExactModel, actor: string): Promise<void>;
  /** @returns The version that was pinned; undefined if none was. */
  unpin(name: string, actor: string): Promise<number | undefined>;
  /**
   * @param options.force Also removes the previous version, after which no rollback is possible.
   * @throws {OperatingError} 'model-version-unknown', 'model-version-in-use', 'model-pinned' (reject).
   */
  remove(model: ExactModel, options: { readonly force: boolean }, actor: string): Promise<void>;
  audit(): Promise<AuditReport>;
}
