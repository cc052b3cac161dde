import type * as z from 'zod';
import type { TagDefinition, TagNumber } from '../domain/tag.ts';
import type { Deps } from '../platform/deps.ts';
import type { SampleSink } from './sample-sink.ts';

/**
 * A live connection to devices or topics.
 *
 * The constructor does no I/O. `start` returns at once; a peer that is away is reported as degraded under
 * `source/<id>` and tried again with backoff, for ever. After disposal nothing more reaches the sink, and no
 * socket or timer is left; disposing twice, or before start, is fine.
 */
export interface Source extends AsyncDisposable {
  start(): void;
  /**
   * Monotonic time of the last sign of life of the source's own scheduling (a scan begun, a connection tried,
   * a message taken); the watchdog is fed only while it advances. Says nothing about the peer.
   */
  lastTickMs(): number;
}

export type SourceContext<Config> = {
  readonly id: string;
  readonly config: Config;
  /** Numbers of the tags that `tags(config)` named. */
  readonly tagNumbers: ReadonlyMap<string, TagNumber>;
  readonly sink: SampleSink;
  readonly deps: Deps;
};

/** One line of `andon plan`: a scan class of a unit, and what it costs. */
export type ScanPlan = {
  readonly source: string;
  readonly unitId: number;
  readonly scanIntervalMs: number;
  readonly tags: number;
  readonly requests: readonly PlannedRead[];
  /** Estimated time on the wire for one scan. */
  readonly busTimeMs: number;
  /** What to change where the scan cannot be met; '' where it can. */
  readonly advice: string;
};

export type PlannedRead = {
  readonly functionCode: number;
  readonly address: number;
  /** Registers, or bits for function codes 1 and 2. */
  readonly count: number;
  readonly tags: readonly string[];
};

/** A kind of source: one line in app/kinds.ts enrols it in the schema, the docs and the contract tests. */
export type SourceKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  tags(config: Config): readonly TagDefinition[];
  /** Empty where the source does not poll. */
  plan(id: string, config: Config): readonly ScanPlan[];
  create(context: SourceContext<Config>): Source;
};
