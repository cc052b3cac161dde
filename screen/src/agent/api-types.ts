import type * as z from 'zod';
import type {
  alarmJson,
  floodJson,
  healthJson,
  outboxJson,
  tagReadingJson,
  verdictJson,
  watchJson,
} from '../../../src/http/api-schemas.ts';
import type { watchSummaryJson } from '../../../src/contracts/watch-json.ts';

/** Answers of the agent's HTTP API, from the schemas that the agent validates them with. */
export type Alarm = z.infer<typeof alarmJson>;
export type Flood = z.infer<typeof floodJson>;
export type Health = z.infer<typeof healthJson>;
export type Outbox = z.infer<typeof outboxJson>;
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
