import type { SampleSink } from '../../../contracts/sample-sink.ts';
import type { QualityReason } from '../../../domain/sample/quality.ts';
import { SampleBatch } from '../../../domain/sample/sample-batch.ts';
import type { Deps } from '../../../platform/deps.ts';
import type { ModbusLink, PreparedRead, ReadFailure } from '../link/modbus-link.ts';
import type { ModbusMeters } from '../link/modbus-metrics.ts';
import type { NumberedTag } from '../plan/read-part.ts';
import { ReadPart } from '../plan/read-part.ts';
import { canSplit, rejoinParts, splitPart } from '../plan/read-split.ts';
import type { ReadBlock, ReadLimits } from '../plan/register-plan.ts';
import { describeException, refusalKind } from '../frame/read-pdu.ts';
import type { UnitBreaker } from './unit-breaker.ts';

/** Refused reads that one scan may split; more go on with the next scan, so that other classes get their turn. */
const SPLITS_PER_SCAN_MAX = 8;
/** Tags that were set aside and are tried again in one scan; the others whose wait is over go with the next scans. */
const TRIALS_PER_SCAN_MAX = 8;
/** Scans without a proper answer, while the unit answers other reads, after which a read is held to be the cause. */
const STRIKES_MAX = 3;
/**
 * A unit that is away delays its neighbours on the link each time it is tried; it is tried so seldom that this is less
 * than a twentieth of their time.
 */
const NEIGHBOURS_SHARE = 25;

export type ScanClassOptions = {
  readonly source: string;
  readonly unitId: number;
  readonly blocks: readonly ReadBlock<NumberedTag>[];
  readonly limits: ReadLimits;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly link: ModbusLink;
  readonly breaker: UnitBreaker;
  readonly meters: ModbusMeters;
  readonly sink: SampleSink;
  readonly deps: Deps;
  /** A scan has ended and its batch is with the sink; `answered` is false where no read of it got an answer. */
  readonly onScanEnd: (answered: boolean) => void;
  /** `problem()`, `partsAside()` or the breaker may have changed. */
  readonly onChange: () => void;
};

/** What a scan class is about to ask or waits for; made once per part. */
type Ask = { readonly part: ReadPart; readonly prepared: PreparedRead };

/**
 * Tags that are read together at one period: does one scan at a time, read after read, and hands over one batch
 * with every tag of the class at its end.
 *
 * A read that the device refuses is split until the refused tag is found; that one is set aside and tried again
 * now and then. A read that goes unanswered is repeated, and then fails for this scan.
 */
export class ScanClass {
  readonly #options: ScanClassOptions;
  readonly #batch: SampleBatch;
  #asks: Ask[];
  #running = false;
  #position = 0;
  #retriesLeft = 0;
  #splitsLeft = 0;
  #trialsLeft = 0;
  #answered = false;
  #failedReads = 0;
  #firstFailure = '';
  #problem: string | undefined;
  /** Planned reads of which a piece was set aside or came back since they were last put together. */
  readonly #unsettled = new Set<ReadBlock<NumberedTag>>();

  constructor(options: ScanClassOptions) {
    this.#options = options;
    this.#asks = options.blocks.map((block) => this.#ask(new ReadPart(block, block, options.deps.random)));
    this.#batch = new SampleBatch(options.blocks.reduce((sum, { items }) => sum + items.length, 0));
  }

  get running(): boolean {
    return this.#running;
  }

  /** What went wrong in the last scan, for an operator; undefined where nothing did. */
  problem(): string | undefined {
    return this.#problem;
  }

  /** Reads that are set aside. */
  partsAside(): readonly ReadPart[] {
    return this.#asks.map(({ part }) => part).filter(({ setAside }) => setAside !== undefined);
  }

  /** Begins a scan; only while none runs. `onScanEnd` follows, possibly before this returns. */
  begin(): void {
    this.#running = true;
    this.#position = 0;
    this.#splitsLeft = SPLITS_PER_SCAN_MAX;
    this.#trialsLeft = TRIALS_PER_SCAN_MAX;
    this.#answered = false;
    this.#failedReads = 0;
    this.#batch.clear();
    this.#next();
  }

  /** Asks for the next read that may be made now; those before it that may not are bad. */
  #next(): void {
    const { link, breaker, retries, deps } = this.#options;
    for (; this.#position < this.#asks.length; this.#position += 1) {
      const ask = this.#asks[this.#position];
      if (ask === undefined) break;
      const { setAside } = ask.part;
      const nowMs = deps.clock.monotonicMs();
      if (setAside !== undefined && (nowMs < setAside.untilMs || this.#trialsLeft === 0))
        this.#fill(ask.part, setAside.reason);
      else if (!breaker.mayAsk(nowMs)) this.#fill(ask.part, 'unit-set-aside');
      else {
        if (setAside !== undefined) this.#trialsLeft -= 1;
        this.#retriesLeft = setAside === undefined ? breaker.retries(retries) : 0;
        return link.submit(ask.prepared);
      }
    }
    this.#finish();
  }

  #ask(part: ReadPart): Ask {
    const { link, unitId, timeoutMs } = this.#options;
    const { functionCode, address, count } = part.block;
    const request = { unitId, functionCode, address, count };
    const ask: Ask = {
      part,
      prepared: link.prepare(request, timeoutMs, {
        answered: (bytes, offset) => this.#onAnswered(part, bytes, offset),
        refused: (exceptionCode) => this.#onRefused(part, exceptionCode),
        failed: (failure) => this.#onFailed(ask, failure),
      }),
    };
    return ask;
  }

  #onAnswered(part: ReadPart, bytes: Buffer, offset: number): void {
    const { breaker, deps, onChange } = this.#options;
    const wasAway = breaker.away;
    breaker.answered();
    this.#answered = true;
    part.decode(bytes, offset, deps.clock.nowMs(), this.#batch);
    part.proven = true;
    part.strikes = 0;
    if (part.setAside !== undefined) this.#takeBack(part);
    if (wasAway) onChange();
    this.#proceed();
  }

  #onRefused(part: ReadPart, exceptionCode: number): void {
    const { breaker, unitId, meters, onChange } = this.#options;
    meters.error('modbus-refused');
    const { functionCode, address, count } = part.block;
    const message = `unit ${unitId} refused function ${functionCode}, ${count} from ${address}: ${describeException(exceptionCode)}`;
    const kind = refusalKind(exceptionCode);
    if (kind === 'unit-away')
      return this.#onSilence(part, 'timeout', message, this.#neighbourDelayMs('modbus-timeout'));

    const wasAway = breaker.away;
    breaker.answered();
    this.#answered = true;
    if (wasAway) onChange();
    switch (kind) {
      case 'busy':
        return this.#failPart(part, 'refused', message);
      case 'function':
        return this.#putAside(part, 'refused', message);
      case 'address':
        if (!canSplit(part)) return this.#putAside(part, 'refused', message);
        if (this.#splitsLeft === 0) return this.#failPart(part, 'refused', message);
        this.#splitsLeft -= 1;
        this.#replace([part], splitPart(part, this.#options.deps.random));
        return this.#next();
    }
  }

  #onFailed(ask: Ask, failure: ReadFailure): void {
    const { link, breaker } = this.#options;
    const { code, message } = failure;
    if (code === 'modbus-link-down') {
      breaker.undecided();
      return this.#failRest(message);
    }
    if (this.#retriesLeft > 0) {
      this.#retriesLeft -= 1;
      return link.submit(ask.prepared);
    }
    this.#strike(ask.part, failure);
    const delayMs = this.#neighbourDelayMs(code);
    if (code === 'modbus-timeout' || delayMs > 0)
      return this.#onSilence(ask.part, reasonOfFailure(code), message, delayMs);
    breaker.undecided();
    this.#failPart(ask.part, reasonOfFailure(code), message);
  }

  /**
   * The unit gave no proper answer, or its gateway says that it did not.
   * @param delayMs What that cost the others on the link.
   */
  #onSilence(part: ReadPart, reason: QualityReason, message: string, delayMs: number): void {
    const { breaker, deps, onChange } = this.#options;
    const wasAway = breaker.away;
    breaker.silent(deps.clock.monotonicMs(), message, NEIGHBOURS_SHARE * delayMs);
    if (!wasAway && breaker.away) onChange();
    this.#failPart(part, reason, message);
  }

  /** How long a read that fails so keeps the others on the link waiting; 0 where there are none. */
  #neighbourDelayMs(code: ReadFailure['code']): number {
    const { link, timeoutMs } = this.#options;
    return link.neighbourDelayMs(code === 'modbus-timeout' ? timeoutMs : 0);
  }

  /**
   * A read that fails scan after scan while its unit answers others is at fault itself: some devices keep silent
   * about registers that they do not have. It is split, and in the end set aside, like a refused one.
   */
  #strike(part: ReadPart, failure: ReadFailure): void {
    const { breaker, deps } = this.#options;
    if (breaker.answers === part.answersAtStrike) return;
    part.answersAtStrike = breaker.answers;
    part.strikes += 1;
    if (part.setAside === undefined && part.strikes < STRIKES_MAX) return;
    if (!canSplit(part) || part.setAside !== undefined)
      this.#setAside(part, reasonOfFailure(failure.code), failure.message);
    else this.#unsettledSplit(part, splitPart(part, deps.random));
  }

  #unsettledSplit(part: ReadPart, pieces: readonly ReadPart[]): void {
    // The pieces are asked with the next scan; in this one, they fail with the read that they come from.
    this.#replace([part], pieces);
    this.#position += pieces.length - 1;
  }

  #putAside(part: ReadPart, reason: QualityReason, message: string): void {
    this.#setAside(part, reason, message);
    this.#fill(part, reason);
    this.#proceed();
  }

  #setAside(part: ReadPart, reason: QualityReason, message: string): void {
    const { deps, source, onChange } = this.#options;
    const isNew = part.setAside === undefined;
    part.putAside(reason, message, deps.clock.monotonicMs());
    if (!isNew) return;
    this.#unsettled.add(part.planned);
    deps.log.warn(
      { source, tags: tagNames(part), reason: message },
      'Tags set aside; they are tried again now and then.',
    );
    onChange();
  }

  #takeBack(part: ReadPart): void {
    const { deps, source, onChange } = this.#options;
    part.takeBack();
    this.#unsettled.add(part.planned);
    deps.log.info({ source, tags: tagNames(part) }, 'Tags that were set aside are answered again.');
    onChange();
  }

  #failPart(part: ReadPart, reason: QualityReason, message: string): void {
    if (this.#failedReads === 0) this.#firstFailure = message;
    this.#failedReads += 1;
    this.#fill(part, reason);
    this.#proceed();
  }

  /** The link is down: what this scan has not read yet is bad. */
  #failRest(message: string): void {
    this.#options.meters.error('modbus-link-down');
    this.#firstFailure = message;
    for (; this.#position < this.#asks.length; this.#position += 1) {
      const part = this.#asks[this.#position]?.part;
      if (part !== undefined) this.#fill(part, part.setAside?.reason ?? 'link-down');
      this.#failedReads += 1;
    }
    this.#finish();
  }

  #fill(part: ReadPart, reason: QualityReason): void {
    part.fail(reason, this.#options.deps.clock.nowMs(), this.#batch);
  }

  #proceed(): void {
    this.#position += 1;
    this.#next();
  }

  #finish(): void {
    const { sink, meters, onScanEnd } = this.#options;
    if (this.#unsettled.size > 0) this.#rejoin();
    meters.scan();
    sink.accept(this.#batch);
    this.#running = false;
    this.#setProblem();
    onScanEnd(this.#answered);
  }

  #setProblem(): void {
    const problem =
      this.#failedReads === 0
        ? undefined
        : `${this.#failedReads} of ${this.#asks.length} reads failed: ${this.#firstFailure}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onChange();
  }

  #rejoin(): void {
    const { limits, deps, onChange } = this.#options;
    for (const planned of this.#unsettled) {
      const parts = this.#asks.map(({ part }) => part).filter((part) => part.planned === planned);
      const joined = rejoinParts(parts, limits, deps.random);
      if (joined === undefined) continue;
      this.#unsettled.delete(planned);
      this.#replace(parts, joined);
    }
    onChange();
  }

  /** Puts new parts in the place of old ones that follow each other. */
  #replace(old: readonly ReadPart[], parts: readonly ReadPart[]): void {
    const at = this.#asks.findIndex(({ part }) => old.includes(part));
    const known = new Map(this.#asks.map((ask) => [ask.part, ask]));
    this.#asks.splice(at, old.length, ...parts.map((part) => known.get(part) ?? this.#ask(part)));
  }
}

function tagNames(part: ReadPart): readonly string[] {
  return part.block.items.map(({ name }) => name);
}

function reasonOfFailure(code: ReadFailure['code']): QualityReason {
  switch (code) {
    case 'modbus-timeout':
      return 'timeout';
    case 'modbus-garbled-answer':
      return 'garbled-answer';
    case 'modbus-connection-lost':
    case 'modbus-link-down':
      return 'link-down';
  }
}
