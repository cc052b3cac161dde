/** Advice for the caller of a failed operation: retry later, or do not retry with the same input. */
export type Disposition = 'retry' | 'reject';

/** Text for docs/errors.md. It is defined next to the code that throws. */
type ErrorDocumentation = {
  readonly disposition: Disposition;
  /** Description of the event, for an operator. */
  readonly meaning: string;
  /** Action that helps. */
  readonly remedy: string;
};

/** Documents an error that a later attempt may not have. @param meaning What happened. @param remedy What to do about it. */
export function retry(meaning: string, remedy: string) {
  return { disposition: 'retry', meaning, remedy } as const;
}

/** Documents an error that the same input always has. @param meaning What happened. @param remedy What to do about it. */
export function reject(meaning: string, remedy: string) {
  return { disposition: 'reject', meaning, remedy } as const;
}

export type ErrorCatalogue = Readonly<Record<string, ErrorDocumentation>>;

/** Failure of a device, peer, disk or model. Expected: the component reports `degraded` and continues. */
export class OperatingError extends Error {
  override readonly name = 'OperatingError';
  /** Stable code, used as metric label and as heading in docs/errors.md. */
  readonly code: string;
  readonly disposition: Disposition;

  constructor(code: string, disposition: Disposition, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.disposition = disposition;
  }
}

/** Returns a function that creates the errors of a catalogue, each with the disposition of its code. */
export function failures<Code extends string>(catalogue: Readonly<Record<Code, ErrorDocumentation>>) {
  return (code: Code, message: string, options?: ErrorOptions): OperatingError =>
    new OperatingError(code, catalogue[code].disposition, message, options);
}

/** One problem in a configuration file. Lines and columns count from 1. */
export type ConfigProblem = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Keys from the root, joined by dots: `sources.plc-1.timeout`. Empty for the whole file. */
  readonly path: string;
  readonly message: string;
};

/** Invalid configuration, with all problems. Exit code 78: systemd does not restart the agent. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config-invalid';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(problems.map((problem) => formatConfigProblem(problem)).join('\n'), options);
    this.problems = problems;
  }
}

/** @param severity `warning: ` for a warning. */
export function formatConfigProblem({ file, line, column, path, message }: ConfigProblem, severity = ''): string {
  return `${file}:${line}:${column}: ${severity}${path === '' ? '' : `${path}: `}${message}`;
}

/** Bug in andon. The agent writes its buffers and exits with 70. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  readonly code = 'invariant-broken';
}

/**
 * Checks a condition that andon's own code guarantees. Not for input.
 * @throws {InvariantError}
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Returns the message of any thrown value. Never throws. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns a stable code for a metric label: andon's, Node's (`ECONNREFUSED`), or 'unexpected'. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'unexpected';
}
