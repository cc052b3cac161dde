import type * as z from 'zod';
import type {
  alarmJson,
  annotationJson,
  configurationJson,
  configurationProblemJson,
  floodJson,
  healthJson,
  journalEntryJson,
  modelJson,
  nodeJson,
  outboxJson,
  registerJson,
  rollupJson,
  sourceJson,
  tagReadingJson,
  tagTableJson,
  topicJson,
  tagSeriesJson,
  verdictJson,
  watchJson,
} from '../../../src/http/api-schemas.ts';
import type { auditEntrySchema } from '../../../src/contracts/model-audit-entry.ts';
import type {
  listedModelJson,
  listedVersionJson,
  trainingJson,
  tryOutJson,
  versionDetailJson,
} from '../../../src/http/models/model-schemas.ts';
import type { ComparisonJson, RolloutJson } from '../../../src/contracts/rollout-json.ts';
import type { watchSummaryJson } from '../../../src/contracts/watch-json.ts';

/** Answers of the agent's HTTP API, from the schemas that the agent validates them with. */
export type Annotation = z.infer<typeof annotationJson>;
export type Alarm = z.infer<typeof alarmJson>;
export type Configuration = z.infer<typeof configurationJson>;
export type ConfigurationProblem = z.infer<typeof configurationProblemJson>;
export type RegisterReading = z.infer<typeof registerJson>;
export type TagTable = z.infer<typeof tagTableJson>;
export type TopicReading = z.infer<typeof topicJson>;
export type NodeReading = z.infer<typeof nodeJson>;
export type SourceState = z.infer<typeof sourceJson>;
export type Flood = z.infer<typeof floodJson>;
export type Health = z.infer<typeof healthJson>;
export type JournalEntry = z.infer<typeof journalEntryJson>;
export type LoadedModel = z.infer<typeof modelJson>;
export type ListedModel = z.infer<typeof listedModelJson>;
export type ListedVersion = z.infer<typeof listedVersionJson>;
export type Comparison = ComparisonJson;
export type RolloutComparison = RolloutJson;
export type ModelAct = z.infer<typeof auditEntrySchema>;
export type Training = z.infer<typeof trainingJson>;
export type TryOutResult = z.infer<typeof tryOutJson>;
export type VersionDetail = z.infer<typeof versionDetailJson>;
export type Outbox = z.infer<typeof outboxJson>;
export type TagSeries = z.infer<typeof tagSeriesJson>;
export type Rollup = z.infer<typeof rollupJson>;
export type TagReading = z.infer<typeof tagReadingJson>;
export type WatchSummary = z.infer<typeof watchSummaryJson>;

export type Verdict = z.infer<typeof verdictJson> & {
  readonly contributions?: readonly { readonly tag: string; readonly share: number }[];
  readonly model?: string | null;
  readonly version?: number | null;
};

export type Watch = Omit<z.infer<typeof watchJson>, 'last_verdict'> & { readonly last_verdict: Verdict | null };

export type Session = {
  /** Name of the user or token; null without a login. */
  readonly user: string | null;
  readonly role: string | null;
  readonly permissions: readonly string[];
  /** True if users can log in; otherwise the agent may need a token. */
  readonly login: boolean;
};

/** An event of `/api/v1/events`. */
export type AgentEvent =
  | { readonly type: 'verdict'; readonly data: Verdict }
  | { readonly type: 'alarm'; readonly data: Alarm }
  | { readonly type: 'watch'; readonly data: WatchSummary }
  | { readonly type: 'tags'; readonly data: readonly TagReading[] };

/** Answer of `GET /api/v1/watches/<watch>/history`. */
export type WatchHistory = {
  readonly watch: string;
  readonly resolution: 'samples' | '1m' | '1h';
  readonly verdicts: readonly Verdict[];
  readonly alarms: readonly JournalEntry[];
  /** Null for samples: the verdicts have the scores. */
  readonly score: Rollup | null;
  readonly tags: readonly (TagSeries | Rollup)[];
};

/** Answer of `POST /api/v1/sources/<source>/topics`. */
export type TopicListing = { readonly topics: readonly TopicReading[]; readonly is_complete: boolean };

/** Answer of `POST /api/v1/sources/<source>/nodes`. */
export type NodeListing = {
  readonly node: NodeReading;
  readonly values: readonly { readonly path: string | null; readonly value: number | null }[];
  readonly children: readonly NodeReading[];
  readonly is_complete: boolean;
};
