import type { SampleSink } from '../../../contracts/sample-sink.ts';
import type { QualityReason } from '../../../domain/sample/quality.ts';
import { SampleBatch } from '../../../domain/sample/sample-batch.ts';
import type { Deps } from '../../../platform/deps.ts';
import type { ModbusLink, PreparedRead, ReadFailure } from '../link/modbus-link.ts';
import { reasonOfFailure } from '../link/modbus-errors.ts';
import type { ModbusMeters } from '../link/modbus-metrics.ts';
import { type NumberedTag, ReadPart } from '../plan/read-part.ts';
import { canSplit, rejoinParts, splitPart } from '../plan/read-split.ts';
import type { ReadBlock, ReadLimits } from '../plan/register-plan.ts';
import { describeException, refusalKind } from '../frame/read-pdu.ts';
import type { RequestGroups } from './request-groups.ts';
import type { UnitBreaker } from './unit-breaker.ts';

/** Refused reads that one scan may split; the others follow with the next scan, so that other scan classes get their turn. */
const SPLITS_PER_SCAN_MAX = 8;
/** Disabled tags that one scan retries; the others follow with the next scans. */
const RETRIES_PER_SCAN_MAX = 8;
/** Scans without a valid response, while the unit answers other reads, after which the read itself is the cause. */
const STRIKES_MAX = 3;
/** An absent unit delays the other units of the link with each retry. Retries are limited so that this is below 1/20 of their time. */
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
  readonly groups: RequestGroups;
  readonly meters: ModbusMeters;
  readonly sink: SampleSink;
  readonly deps: Deps;
  /** A scan has ended and the sink has its batch; `answered` is false if no read got a response. */
  readonly onScanEnd: (answered: boolean, batch: SampleBatch) => void;
  /** `problem()`, `disabledParts()`, the breaker or the groups may have changed. */
  readonly onChange: () => void;
};

/** A read that a scan class submits or waits for; created once for each part. */
type ScanRead = {
  readonly part: ReadPart;
  readonly prepared: PreparedRead;
  /** Part that the read had in a group of this scan. */
  inGroup: 'no' | 'submitted' | 'answered';
};

/**
 * Tags that are read together with one scan interval. Runs one scan at a time, read after read, and delivers one batch
 * with every tag of the class at its end. Reads that were answered before may be sent in groups; reads that their group
 * leaves without data are sent again alone, so that each failure has one cause.
 *
 * A read that the device refuses is split until the refused tag is found; that tag is disabled and retried with growing
 * waits. An unanswered read is repeated `retries` times and then fails for this scan.
 */
export class ScanClass {
  readonly #options: ScanClassOptions;
  readonly #batch: SampleBatch;
  #reads: ScanRead[];
  #running = false;
  #position = 0;
  #retriesLeft = 0;
  /** Reads of a group that wait for their responses. */
  #groupWaits = 0;
  /** Failure of the last group of this scan, until a read is answered alone. */
  #groupFailure: ReadFailure | undefined;
  #splitsLeft = 0;
  #disabledRetriesLeft = 0;
  #answered = false;
  #failedReads = 0;
  #firstFailure = '';
  #problem: string | undefined;
  /** Planned reads with a part that was disabled or enabled since they were last joined. */
  readonly #unsettled = new Set<ReadBlock<NumberedTag>>();

  constructor(options: ScanClassOptions) {
    this.#options = options;
    this.#reads = options.blocks.map((block) => this.#read(new ReadPart(block, block, options.deps.random)));
    this.#batch = new SampleBatch(options.blocks.reduce((sum, { items }) => sum + items.length, 0));
  }

  get running(): boolean {
    return this.#running;
  }

  /** Problem of the last scan, for an operator; undefined if there was none. */
  problem(): string | undefined {
    return this.#problem;
  }

  /** Disabled reads. */
  disabledParts(): readonly ReadPart[] {
    return this.#reads.map(({ part }) => part).filter(({ disabled }) => disabled !== undefined);
  }

  /** Starts a scan. Allowed only while none runs. `onScanEnd` follows, possibly before this returns. */
  begin(): void {
    this.#running = true;
    this.#position = 0;
    this.#splitsLeft = SPLITS_PER_SCAN_MAX;
    this.#disabledRetriesLeft = RETRIES_PER_SCAN_MAX;
    this.#answered = false;
    this.#failedReads = 0;
    this.#batch.clear();
    this.#groupFailure = undefined;
    for (const read of this.#reads) read.inGroup = 'no';
    this.#next();
  }

  /** Submits the next read that is allowed now; the tags of skipped reads are bad. */
  #next(): void {
    const { link, breaker, retries, deps } = this.#options;
    for (; this.#position < this.#reads.length; this.#position += 1) {
      const read = this.#reads[this.#position];
      if (read === undefined) break;
      if (read.inGroup === 'answered') continue;
      const { disabled } = read.part;
      const nowMs = deps.clock.monotonicMs();
      if (this.#submitGroup(nowMs)) return;
      if (disabled !== undefined && (nowMs < disabled.untilMs || this.#disabledRetriesLeft === 0))
        this.#fill(read.part, disabled.reason);
      else if (!breaker.maySend(nowMs)) this.#fill(read.part, 'unit-set-aside');
      else {
        if (disabled !== undefined) this.#disabledRetriesLeft -= 1;
        this.#retriesLeft = disabled === undefined ? breaker.retries(retries) : 0;
        return link.submit([read.prepared]);
      }
    }
    this.#finish();
  }

  /** Submits the next reads together if they may be. @returns True if it did. */
  #submitGroup(nowMs: number): boolean {
    const { link, breaker, groups } = this.#options;
    const size = breaker.answering ? groups.size(nowMs) : 1;
    if (size === 1) return false;
    const group: ScanRead[] = [];
    for (let at = this.#position; at < this.#reads.length && group.length < size; at += 1) {
      const read = this.#reads[at];
      if (read?.inGroup !== 'no' || !read.part.isReliable) break;
      group.push(read);
    }
    if (group.length < 2) return false;
    for (const read of group) read.inGroup = 'submitted';
    this.#groupWaits = group.length;
    link.submit(group.map(({ prepared }) => prepared));
    return true;
  }

  /** Continues after the last response of a group. @param failure Failure of the group; the read is sent again alone. */
  #settleInGroup(failure?: ReadFailure): void {
    const { groups, onChange } = this.#options;
    if (failure !== undefined) this.#groupFailure = failure;
    this.#groupWaits -= 1;
    if (this.#groupWaits > 0) return;
    if (this.#groupFailure === undefined && groups.answered()) onChange();
    if (this.#groupFailure?.code === 'modbus-link-down') this.#failRest(this.#groupFailure.message);
    else this.#next();
  }

  #read(part: ReadPart): ScanRead {
    const { link, unitId, timeoutMs } = this.#options;
    const { functionCode, address, count, registerBits } = part.block;
    const request = { unitId, functionCode, address, count, registerBits };
    const read: ScanRead = {
      part,
      inGroup: 'no',
      prepared: link.prepare(request, timeoutMs, {
        answered: (bytes, offset) => this.#onAnswered(read, bytes, offset),
        refused: (exceptionCode) =>
          this.#groupWaits > 0 ? this.#settleInGroup() : this.#onRefused(part, exceptionCode),
        failed: (failure) => (this.#groupWaits > 0 ? this.#settleInGroup(failure) : this.#onFailed(read, failure)),
      }),
    };
    return read;
  }

  #onAnswered(read: ScanRead, bytes: Buffer, offset: number): void {
    const { breaker, deps, onChange } = this.#options;
    const { part } = read;
    const wasAway = breaker.away;
    breaker.answered();
    this.#answered = true;
    part.decode(bytes, offset, deps.clock.nowMs(), this.#batch);
    part.proven = true;
    part.strikes = 0;
    if (part.disabled !== undefined) this.#enable(part);
    if (wasAway) onChange();
    if (this.#groupWaits > 0) {
      read.inGroup = 'answered';
      return this.#settleInGroup();
    }
    this.#blameGroup();
    this.#proceed();
  }

  /** Counts the failure of a group whose read is answered alone: the unit is well. */
  #blameGroup(): void {
    const { groups, deps, source, onChange } = this.#options;
    const failure = this.#groupFailure;
    this.#groupFailure = undefined;
    if (failure === undefined || !groups.failed(deps.clock.monotonicMs(), failure.message)) return;
    deps.log.warn(
      { source, reason: groups.problem },
      'Requests are no longer sent in groups; retried with waits of 1 min to 1 h.',
    );
    onChange();
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
        return this.#disableAndProceed(part, 'refused', message);
      case 'address':
        if (!canSplit(part)) return this.#disableAndProceed(part, 'refused', message);
        if (this.#splitsLeft === 0) return this.#failPart(part, 'refused', message);
        this.#splitsLeft -= 1;
        this.#replace([part], splitPart(part, this.#options.deps.random));
        return this.#next();
    }
  }

  #onFailed(read: ScanRead, failure: ReadFailure): void {
    const { link, breaker } = this.#options;
    const { code, message } = failure;
    if (code === 'modbus-link-down') {
      breaker.undecided();
      return this.#failRest(message);
    }
    if (this.#retriesLeft > 0) {
      this.#retriesLeft -= 1;
      return link.submit([read.prepared]);
    }
    this.#strike(read.part, failure);
    const delayMs = this.#neighbourDelayMs(code);
    if (code === 'modbus-timeout' || delayMs > 0)
      return this.#onSilence(read.part, reasonOfFailure(code), message, delayMs);
    breaker.undecided();
    this.#failPart(read.part, reasonOfFailure(code), message);
  }

  /**
   * Handles a read without a valid response, or a gateway's report of one.
   * @param delayMs Delay of the other units on the link.
   */
  #onSilence(part: ReadPart, reason: QualityReason, message: string, delayMs: number): void {
    const { breaker, deps, onChange } = this.#options;
    const wasAway = breaker.away;
    breaker.silent(deps.clock.monotonicMs(), message, NEIGHBOURS_SHARE * delayMs);
    if (!wasAway && breaker.away) onChange();
    this.#failPart(part, reason, message);
  }

  /** Returns the time that such a failure delays the other units on the link; 0 if there are none. */
  #neighbourDelayMs(code: ReadFailure['code']): number {
    const { link, timeoutMs } = this.#options;
    return link.neighbourDelayMs(code === 'modbus-timeout' ? timeoutMs : 0);
  }

  /**
   * Counts a failure of a read whose unit answers other reads. Some devices do not respond to reads of registers that
   * they do not have. After STRIKES_MAX scans the read is split and finally disabled, like a refused one.
   */
  #strike(part: ReadPart, failure: ReadFailure): void {
    const { breaker, deps } = this.#options;
    if (breaker.answers === part.answersAtStrike) return;
    part.answersAtStrike = breaker.answers;
    part.strikes += 1;
    if (part.disabled === undefined && part.strikes < STRIKES_MAX) return;
    if (!canSplit(part) || part.disabled !== undefined)
      this.#disable(part, reasonOfFailure(failure.code), failure.message);
    else this.#unsettledSplit(part, splitPart(part, deps.random));
  }

  #unsettledSplit(part: ReadPart, pieces: readonly ReadPart[]): void {
    // The parts are read with the next scan; in this scan they fail together with the original read.
    this.#replace([part], pieces);
    this.#position += pieces.length - 1;
  }

  #disableAndProceed(part: ReadPart, reason: QualityReason, message: string): void {
    this.#disable(part, reason, message);
    this.#fill(part, reason);
    this.#proceed();
  }

  #disable(part: ReadPart, reason: QualityReason, message: string): void {
    const { deps, source, onChange } = this.#options;
    const isNew = part.disabled === undefined;
    part.disable(reason, message, deps.clock.monotonicMs());
    if (!isNew) return;
    this.#unsettled.add(part.planned);
    deps.log.warn(
      { source, tags: tagNames(part), reason: message },
      'Tags disabled after errors; retried with waits of 5 s to 5 min.',
    );
    onChange();
  }

  #enable(part: ReadPart): void {
    const { deps, source, onChange } = this.#options;
    part.enable();
    this.#unsettled.add(part.planned);
    deps.log.info({ source, tags: tagNames(part) }, 'Disabled tags are readable again.');
    onChange();
  }

  #failPart(part: ReadPart, reason: QualityReason, message: string): void {
    if (this.#failedReads === 0) this.#firstFailure = message;
    this.#failedReads += 1;
    this.#fill(part, reason);
    this.#proceed();
  }

  /** Marks the tags that this scan has not read yet as bad: the link is down. */
  #failRest(message: string): void {
    this.#options.meters.error('modbus-link-down');
    this.#firstFailure = message;
    for (; this.#position < this.#reads.length; this.#position += 1) {
      const read = this.#reads[this.#position];
      if (read === undefined || read.inGroup === 'answered') continue;
      this.#fill(read.part, read.part.disabled?.reason ?? 'link-down');
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
    onScanEnd(this.#answered, this.#batch);
  }

  #setProblem(): void {
    const problem =
      this.#failedReads === 0
        ? undefined
        : `${this.#failedReads} of ${this.#reads.length} reads failed: ${this.#firstFailure}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onChange();
  }

  #rejoin(): void {
    const { limits, deps, onChange } = this.#options;
    for (const planned of this.#unsettled) {
      const parts = this.#reads.map(({ part }) => part).filter((part) => part.planned === planned);
      const joined = rejoinParts(parts, limits, deps.random);
      if (joined === undefined) continue;
      this.#unsettled.delete(planned);
      this.#replace(parts, joined);
    }
    onChange();
  }

  /** Replaces consecutive parts by new ones. */
  #replace(old: readonly ReadPart[], parts: readonly ReadPart[]): void {
    const at = this.#reads.findIndex(({ part }) => old.includes(part));
    const known = new Map(this.#reads.map((read) => [read.part, read]));
    this.#reads.splice(at, old.length, ...parts.map((part) => known.get(part) ?? this.#read(part)));
  }
}

function tagNames(part: ReadPart): readonly string[] {
  return part.block.items.map(({ name }) => name);
}
