import {
  recordIdParts,
  type RecordIdParts,
  type RecordObject,
  type SampleEntry,
  samplesOf,
  tagValuesOf,
} from '../../domain/record/record-object.ts';
import type { RecordRef } from '../../domain/record/record-batch.ts';
import type { ThinConfig } from './thin-config.ts';
import { TagRanges, ValueRange } from './value-range.ts';

/** A segment ends with more records or characters to send. Fixed, so that a change of the batch size moves no end. */
const KEPT_RECORDS_MAX = 200;
const KEPT_CHARACTERS_MAX = 50_000;

type Totals = {
  readonly first: RecordObject;
  last: RecordObject;
  count: number;
};

type VerdictTotals = Totals & {
  readonly verdicts: Record<string, number>;
  readonly score: ValueRange;
  readonly tags: TagRanges;
};

type SampleTotals = Totals & { readonly tags: TagRanges; isThinned: boolean };

/** Last verdict of each watch, over the segments. */
export type LastVerdicts = Map<string, string>;

/**
 * Successive stored records, and what is sent of them.
 *
 * Where a segment ends depends only on the stored records from its start. The position of an uplink is always the end of a
 * segment. So an agent that was killed makes the same segments again, and summaries with the same ids.
 */
export class Segment {
  readonly #config: ThinConfig;
  readonly #lastVerdicts: LastVerdicts;
  readonly #start: RecordIdParts;
  readonly #interval: number;
  readonly #kept: string[] = [];
  readonly #verdicts = new Map<string, VerdictTotals>();
  readonly #sent = new Map<string, { readonly timeMs: number; readonly sample: SampleEntry }>();
  #samples: SampleTotals | undefined;
  /** Those that decide where the segment ends. */
  #keptRecords = 0;
  #keptCharacters = 0;
  #hasEnded = false;
  readonly #refs: RecordRef[] = [];

  constructor(first: RecordObject, config: ThinConfig, lastVerdicts: LastVerdicts) {
    this.#config = config;
    this.#lastVerdicts = lastVerdicts;
    this.#start = recordIdParts(first.id);
    this.#interval = this.#intervalOf(first);
  }

  /** Stored records, in order. */
  get refs(): readonly RecordRef[] {
    return this.#refs;
  }

  /** True if the record begins the next segment. Times of watches differ a little: one interval back is the same segment. */
  endsBefore(record: RecordObject): boolean {
    if (this.#hasEnded) return true;
    const { epoch, agent } = recordIdParts(record.id);
    const ahead = this.#intervalOf(record) - this.#interval;
    return epoch !== this.#start.epoch || agent !== this.#start.agent || ahead > 0 || ahead < -1;
  }

  /** True if no record is to be waited for. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  add(record: RecordObject, ref: RecordRef): void {
    this.#refs.push(ref);
    if (record.kind === 'verdict' && this.#config.verdicts === 'changes') this.#addVerdict(record);
    else if (record.kind === 'sample' && this.#config.samples !== undefined) this.#addSample(record);
    else this.#keep(record);
    // Others than values are sent immediately.
    if (record.kind !== 'verdict' && record.kind !== 'sample') this.#hasEnded = true;
    if (this.#keptRecords >= KEPT_RECORDS_MAX || this.#keptCharacters >= KEPT_CHARACTERS_MAX) this.#hasEnded = true;
  }

  /** Returns what is sent, as JSON. Summaries are last. */
  sent(): readonly string[] {
    const summaries = [...this.#verdicts.values()].map((totals) => this.#verdictSummary(totals));
    if (this.#samples?.isThinned === true) summaries.push(this.#summary('sample', this.#samples, {}));
    return [...this.#kept, ...summaries.map((summary) => JSON.stringify(summary))];
  }

  #intervalOf(record: RecordObject): number {
    return Math.floor(record.timestamp_ms / this.#config.summaryEveryMs);
  }

  #keep(record: RecordObject): void {
    const json = JSON.stringify(record);
    this.#kept.push(json);
    this.#keptRecords += 1;
    this.#keptCharacters += json.length;
  }

  #addVerdict(record: RecordObject): void {
    const watch = textOf(record['watch']);
    const verdict = textOf(record['verdict']);
    const totals = this.#verdicts.get(watch) ?? {
      first: record,
      last: record,
      count: 0,
      verdicts: {},
      score: new ValueRange(),
      tags: new TagRanges(),
    };
    this.#verdicts.set(watch, totals);
    totals.last = record;
    totals.count += 1;
    totals.verdicts[verdict] = (totals.verdicts[verdict] ?? 0) + 1;
    if (typeof record['score'] === 'number') totals.score.add(record['score']);
    for (const [tag, value] of Object.entries(tagValuesOf(record))) totals.tags.add(tag, value);
    const isChange = this.#lastVerdicts.get(watch) !== verdict;
    // After a start the verdict before is not known. So the first one of a segment must not move its end.
    if (isChange && totals.count === 1) this.#kept.push(JSON.stringify(record));
    else if (isChange) this.#keep(record);
    this.#lastVerdicts.set(watch, verdict);
  }

  #addSample(record: RecordObject): void {
    const samples = samplesOf(record);
    const kept = samples.filter(([tag, sample]) => this.#isSent(tag, sample, record.timestamp_ms));
    this.#samples ??= { first: record, last: record, count: 0, tags: new TagRanges(), isThinned: false };
    this.#samples.last = record;
    this.#samples.count += 1;
    for (const [tag, [value, quality]] of samples) this.#samples.tags.add(tag, quality === 'bad' ? null : value);
    if (kept.length < samples.length) this.#samples.isThinned = true;
    if (kept.length > 0) this.#keep({ ...record, values: Object.fromEntries(kept) });
  }

  #isSent(tag: string, sample: SampleEntry, recordMs: number): boolean {
    const { everyMs = Infinity, deadband = Infinity } = this.#config.samples ?? {};
    const [value, quality, afterMs = 0] = sample;
    const timeMs = recordMs + afterMs;
    const last = this.#sent.get(tag);
    const isSent =
      last === undefined ||
      last.sample[1] !== quality ||
      timeMs - last.timeMs >= everyMs ||
      Math.abs((value ?? 0) - (last.sample[0] ?? 0)) > deadband;
    if (isSent) this.#sent.set(tag, { timeMs, sample });
    return isSent;
  }

  #verdictSummary(totals: VerdictTotals): object {
    const { first, last, count, verdicts, score } = totals;
    return this.#summary('verdict', totals, {
      watch: first['watch'] ?? '',
      first: first['verdict'],
      last: last['verdict'],
      verdicts,
      unknown: Number(((verdicts['unknown'] ?? 0) / count).toPrecision(4)),
      score: score.limits ?? null,
    });
  }

  #summary(
    records: 'verdict' | 'sample',
    { first, last, count, tags }: Totals & { readonly tags: TagRanges },
    fields: object,
  ) {
    const { agent, epoch, sequence: from } = recordIdParts(first.id);
    const { sequence: to } = recordIdParts(last.id);
    return {
      id: `${agent}/${epoch}/${from}-${to}`,
      kind: 'summary',
      timestamp_ms: last.timestamp_ms,
      records,
      from,
      to,
      count,
      from_ms: first.timestamp_ms,
      ...fields,
      tags: tags.json(count),
    };
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
