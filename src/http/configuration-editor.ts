import type { ConfigProblem } from '../platform/errors.ts';

/** Problem of a configuration, as `andon check` reports it. */
export type ConfigurationProblem = ConfigProblem & {
  /** 'refused': the file may have this, but only a local edit may change it. Nothing else was checked then. */
  readonly severity: 'error' | 'warning' | 'refused';
};

/** What became of the last text that was applied over HTTP. */
export type AppliedConfiguration = {
  readonly state: 'applying' | 'applied' | 'reverted' | 'superseded' | 'refused';
  /** SHA-256 of the text, 64 hexadecimal digits. */
  readonly version: string;
  readonly by: string;
  readonly timestampMs: number;
  /** Changed keys, such as `watches.press`; empty while it is applied. */
  readonly changed: readonly string[];
  /** Those of them for which all parts restarted. */
  readonly restart: readonly string[];
  /** Why it was reverted or refused; '' for other states. */
  readonly reason: string;
};

/** The configuration file, and what is in use. */
export type ConfigurationState = {
  readonly file: string;
  readonly text: string;
  /** True if the agent uses this text; false if the file was changed since, or its change was reverted. */
  readonly isInUse: boolean;
  /** Returns the text in use without literal secrets, such as the header of an uplink. */
  readonly redacted: () => string;
  /** SHA-256 of `text`. */
  readonly version: string;
  /** Configurations that were in use since the start, this one included. */
  readonly generation: number;
  /** Why it cannot be changed here; undefined if it can. */
  readonly readOnly: string | undefined;
  /** `reload.revertAfter`; undefined if changes are never reverted. */
  readonly revertAfterMs: number | undefined;
  readonly lastApply: AppliedConfiguration | undefined;
};

/** Tags of a table, with the keys and values of the configuration. Cells without a value are absent. */
export type TagTable = {
  readonly tags: readonly { readonly name: string; readonly fields: Readonly<Record<string, unknown>> }[];
  readonly problems: readonly { readonly line: number; readonly column: number; readonly message: string }[];
};

/** Reads, checks and replaces the configuration file of the running agent. */
export interface ConfigurationEditor {
  /** Returns the JSON Schema of the file. */
  schema(): object;
  /** @throws {OperatingError} 'configuration-unreadable' (retry). */
  read(): Promise<ConfigurationState>;
  /**
   * Checks a text as the content of the file, without a change.
   *
   * @throws {OperatingError} 'configuration-unreadable', 'configuration-check-failed' (retry).
   */
  check(text: string): Promise<readonly ConfigurationProblem[]>;
  /**
   * Reads a table with the columns of a tag file, from a spreadsheet for example.
   *
   * @param table `type` is the type of the source.
   * @throws {OperatingError} 'configuration-check-failed' (retry).
   */
  readTags(table: { readonly text: string; readonly type: string }): Promise<TagTable>;
  /**
   * Replaces the file and starts a reload, whose result is `lastApply`. The former text is kept as `<file>.bak`. If the reload
   * is reverted, the file gets the text in use again.
   *
   * @param version SHA-256 of the text that the change started from.
   * @returns State 'applying', or the problems because of which nothing was changed.
   * @throws {OperatingError} 'configuration-read-only', 'configuration-changed' (reject), and the errors of `check`.
   */
  apply(
    text: string,
    version: string,
    actor: string,
  ): Promise<AppliedConfiguration | { readonly problems: readonly ConfigurationProblem[] }>;
}
