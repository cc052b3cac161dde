import type { EpochMs } from '../domain/epoch-ms.ts';

/** Where a package comes from: a folder, or an archive with one in it. */
export type PackageSource =
  | { readonly kind: 'folder'; readonly path: string }
  /** A tar archive, gzip'd or not; the bytes are taken once. */
  | { readonly kind: 'archive'; readonly bytes: AsyncIterable<Uint8Array> }
  /** The same, fetched over HTTP or HTTPS. */
  | { readonly kind: 'url'; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export type InstallRequest = {
  readonly source: PackageSource;
  /** SHA-256 that the archive must have, 64 hexadecimal digits; undefined where nobody knows. */
  readonly sha256: string | undefined;
  /** Whether it becomes the active version too. */
  readonly activate: boolean;
  readonly onProgress?: (progress: InstallProgress) => void;
};

/** Bytes of the archive received so far, and how many there will be where that is known; or what is done now. */
export type InstallProgress =
  | { readonly stage: 'receiving'; readonly bytes: number; readonly bytesTotal: number | undefined }
  | { readonly stage: 'verifying'; readonly model: string };

export type ExactModel = { readonly name: string; readonly version: number };

/** Times of whole runs of one row, from the question to the host's answer, as the deadline counts them. */
export type LatencyFigures = {
  readonly warmUpRuns: number;
  readonly runs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly deadlineMs: number;
};

/** What a version was seen to do in a fresh host. */
export type ModelProof = {
  /** Of model.onnx; of model.yaml where it runs on a server. */
  readonly sha256: string;
  readonly provider: string;
  readonly golden: {
    readonly vectors: number;
    /** Relative to max(1, |expected|). */
    readonly largestDifference: number;
    /** Whether several vectors as one batch gave what they give one by one. */
    readonly rowsStayApart: boolean;
  };
  /** Undefined for a graph without golden vectors that takes no zeros: there is nothing to run it on. */
  readonly latency: LatencyFigures | undefined;
};

export type Installed = ExactModel & {
  /** False where the very same version was there already. */
  readonly fresh: boolean;
  readonly proof: ModelProof | undefined;
  /** Files of a folder that are no part of a package. */
  readonly leftOut: readonly string[];
  readonly activated: Activated | undefined;
};

export type Activated = ExactModel & {
  /** Active until now; undefined where none was. */
  readonly previous: number | undefined;
  readonly proof: ModelProof;
};

export const modelActions = ['train', 'install', 'activate', 'rollback', 'pin', 'unpin', 'remove', 'mend'] as const;
export type ModelAction = (typeof modelActions)[number];

/** A line of the audit log. */
export type AuditEntry = {
  /** From 1, without a gap. */
  readonly sequence: number;
  readonly timestamp_ms: EpochMs;
  /** `cli:<user>`, `http:<address>` or `agent`. */
  readonly actor: string;
  readonly action: ModelAction;
  /** '' where it is not known what was meant. */
  readonly model: string;
  readonly version: number | null;
  readonly outcome: 'ok' | 'refused';
  /** Why it was refused, and what was measured. */
  readonly detail: Readonly<Record<string, unknown>>;
  /** Hash of the line before; 64 zeros for the first. */
  readonly previous: string;
  /** SHA-256 of the line without this field, 64 hexadecimal digits. */
  readonly hash: string;
};

export type AuditReport = {
  /** Every line that could be read, oldest first. */
  readonly entries: readonly AuditEntry[];
  /** The first line that does not fit the ones before it; undefined where the whole chain holds. */
  readonly broken: { readonly file: string; readonly line: number; readonly reason: string } | undefined;
};

/**
 * Changes the model directory: one act at a time, whoever does it, each with a line in the audit log.
 *
 * A version is proved before it is installed and before it becomes active; one that fails changes nothing.
 * Every act may be refused with {OperatingError} 'models-busy', 'model-directory-unusable' (retry).
 */
export interface ModelRegistry {
  /**
   * @throws {OperatingError} 'model-package-invalid', 'model-package-too-large', 'model-version-taken', 'model-pinned'
   *   and why the version was not proved (reject); 'model-download-failed' (retry).
   */
  install(order: InstallRequest, actor: string): Promise<Installed>;
  /** @throws {OperatingError} 'model-version-unknown', 'model-pinned', and why the version was not proved (reject). */
  activate(model: ExactModel, actor: string): Promise<Activated>;
  /** @throws {OperatingError} As `activate`, and 'model-no-previous'. */
  rollback(name: string, actor: string): Promise<Activated>;
  /** Holds the active version fast. @throws {OperatingError} 'model-version-not-active' (reject). */
  pin(model: ExactModel, actor: string): Promise<void>;
  /** @returns The version that was pinned; undefined where none was. */
  unpin(name: string, actor: string): Promise<number | undefined>;
  /**
   * @param force Also the previous version, which leaves nothing to roll back to.
   * @throws {OperatingError} 'model-version-unknown', 'model-version-in-use', 'model-pinned' (reject).
   */
  remove(model: ExactModel, options: { readonly force: boolean }, actor: string): Promise<void>;
  audit(): Promise<AuditReport>;
}
