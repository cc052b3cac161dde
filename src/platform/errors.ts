/** What a caller should do about an OperatingError: try again later, or never with the same input. */
export type Disposition = 'retry' | 'reject';

/** Text for docs/errors.md, kept beside the code that throws. */
type ErrorDocumentation = {
  readonly disposition: Disposition;
  /** What happened, for an operator. */
  readonly meaning: string;
  /** What to do about it. */
  readonly remedy: string;
};

export type ErrorCatalogue = Readonly<Record<string, ErrorDocumentation>>;

/** The world misbehaved: a device, a peer, a disk, a model. Expected; the component degrades and goes on. */
export class OperatingError extends Error {
  override readonly name = 'OperatingError';
  /** Stable; used as metric label and as heading in docs/errors.md. */
  readonly code: string;
  readonly disposition: Disposition;

  constructor(code: string, disposition: Disposition, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.disposition = disposition;
  }
}

/** One thing wrong with a configuration file, at its place. Lines and columns count from 1. */
export type ConfigProblem = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Keys from the top, joined by dots: `sources.plc-1.timeout`. */
  readonly path: string;
  readonly message: string;
};

/** The configuration is wrong; carries every problem at once. Exit code 78, systemd does not restart. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config-invalid';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map(formatConfigProblem).join('\n'), options);
    this.problems = problems;
  }
}

export function formatConfigProblem(problem: ConfigProblem): string {
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${problem.file}:${problem.line}:${problem.column}: ${path}${problem.message}`;
}

/** Our own bug: what cannot be, is. The agent flushes and exits with 70. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  readonly code = 'invariant-broken';
}

/** @throws {InvariantError} Never for input; only for what our own code guarantees. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** A message for any thrown thing; never throws. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Stable code for a metric label: ours, Node's (`ECONNREFUSED`), or 'unexpected'. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'unexpected';
}
