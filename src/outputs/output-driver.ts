import type { Output, OutputCommand, OutputContext, OutputWriter } from '../contracts/outputs/output.ts';
import { demandOf, type OutputCondition, type OutputDemand } from '../domain/output/output-demand.ts';
import {
  accepted,
  demanded,
  failed,
  newOutput,
  nextWriteMs,
  type OutputMemory,
  type OutputRules,
  type OutputValue,
  valueAt,
} from '../domain/output/output-schedule.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep, type Timer } from '../platform/clock.ts';
import { errorCode, errorMessage, InvariantError } from '../platform/errors.ts';
import type { ComponentHealth } from '../platform/health.ts';
import { outputFailure } from './output-errors.ts';
import type { OutputFields } from './output-fields.ts';
import { outputMetrics } from './output-metrics.ts';

/** Longest time between two looks at the facts. */
const LOOK_MS = 500;
/** Attempts to write the safe value at a stop. */
const STOP_ATTEMPTS = 2;
/** Longest wait at a stop for the records of the last commands. */
const STORE_MS = 2000;

export type OutputDriverOptions = Pick<OutputContext<unknown>, 'id' | 'inputs' | 'records' | 'audit' | 'deps'> & {
  readonly config: OutputFields;
  readonly condition: OutputCondition;
  readonly rules: OutputRules;
  readonly readBackMs: number | undefined;
  readonly writer: OutputWriter;
  /** Address that is written, for a person. */
  readonly target: string;
};

/**
 * Keeps one output at the value that its condition demands: one write in flight, repeated after a failure and after `refresh`.
 *
 * Each new command is a record and an entry of the audit log: what the output shows, and whether it was written. Repetitions,
 * phases of blinking and counts of a heartbeat are a number in the next command. Reports health `output/<id>`.
 */
export class OutputDriver implements Output {
  readonly #options: OutputDriverOptions;
  readonly #health: ComponentHealth;
  readonly #metrics;
  readonly #backoff: Backoff;
  readonly #dryRun: boolean;
  #memory: OutputMemory;
  #demand: OutputDemand = { show: 'safe', reason: 'andon starts' };
  /** The last demands with a record that says so. The demand may change during a write. */
  #written: OutputDemand | undefined;
  #failed: OutputDemand | undefined;
  #repeated = 0;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  /** Records that are being stored. A write never waits for them: the storage may hang. */
  #storing: Promise<void> = Promise.resolve();
  readonly #stopping = new AbortController();
  #disposed: Promise<void> | undefined;

  constructor(options: OutputDriverOptions) {
    const { id, config, deps } = options;
    this.#options = options;
    this.#health = deps.health.component(`output/${id}`);
    this.#metrics = deps.metrics.of(outputMetrics);
    this.#backoff = new Backoff({ firstMs: config.retry.firstMs, maxMs: config.retry.maxMs, random: deps.random });
    this.#dryRun = config.dryRun || config.heldBecause !== undefined;
    this.#memory = newOutput(deps.clock.monotonicMs());
  }

  start(): void {
    if (this.#unsubscribe !== undefined || this.#disposed !== undefined) return;
    this.#unsubscribe = this.#options.inputs.onChange(() => this.#look());
    if (!this.#dryRun) this.#options.writer.start();
    this.#look();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const wasStarted = this.#unsubscribe !== undefined;
    this.#unsubscribe?.();
    this.#timer?.cancel();
    this.#stopping.abort();
    await this.#writing;
    if (wasStarted) await this.#writeAtStop();
    await this.#options.writer[Symbol.asyncDispose]();
    await this.#storedWithin(STORE_MS);
    this.#health.remove();
    for (const show of ['on', 'off', 'safe'] as const)
      this.#metrics.andon_output_state.remove({ output: this.#options.id, show });
  }

  async #storedWithin(timeoutMs: number): Promise<void> {
    const stored = new AbortController();
    void this.#storing.finally(() => stored.abort());
    await sleep(this.#options.deps.clock, timeoutMs, stored.signal);
  }

  async #writeAtStop(): Promise<void> {
    this.#demanded({ show: 'safe', reason: 'andon stops' });
    for (let attempt = 0; attempt < STOP_ATTEMPTS && this.#written !== this.#demand; attempt += 1) await this.#write();
  }

  #look(): void {
    if (this.#disposed !== undefined) return;
    const { condition, inputs } = this.#options;
    const demand = demandOf(condition, inputs.facts());
    // The reason of a demand that stays may change with each verdict.
    if (demand.show !== this.#demand.show) this.#demanded(demand);
    this.#showState();
    if (this.#writing === undefined) this.#next();
  }

  #demanded(demand: OutputDemand): void {
    this.#demand = demand;
    this.#memory = demanded(this.#memory, demand.show, this.#nowMs());
  }

  /** Writes if it is time, and sets the timer for the next look. */
  #next(): void {
    this.#timer?.cancel();
    const nowMs = this.#nowMs();
    const waitMs = nextWriteMs(this.#options.rules, this.#memory, nowMs) - nowMs;
    if (waitMs > 0) {
      // The looks also find changes that no event announces, such as a fault of the storage.
      this.#timer = this.#options.deps.clock.setTimer(() => this.#look(), Math.min(waitMs, LOOK_MS), {
        background: true,
      });
      return;
    }
    this.#writing = this.#write().then(() => {
      this.#writing = undefined;
      if (this.#disposed === undefined) this.#look();
    });
  }

  async #write(): Promise<void> {
    const { rules, id } = this.#options;
    const value = valueAt(rules, this.#memory, this.#nowMs());
    const demand = this.#demand;
    try {
      await this.#send(value);
      this.#memory = accepted(this.#memory, value, this.#nowMs());
      this.#backoff.reset();
      if (!this.#dryRun) this.#metrics.andon_output_writes_total.inc({ output: id });
      this.#report(undefined);
      if (this.#written === demand) this.#repeated += 1;
      else this.#command(value, demand, undefined);
      this.#written = demand;
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#memory = failed(this.#memory, this.#nowMs() + this.#backoff.nextMs());
      this.#metrics.andon_output_write_failures_total.inc({ output: id, code: errorCode(error) });
      this.#report(error);
      if (this.#written !== demand && this.#failed !== demand) this.#command(value, demand, errorMessage(error));
      this.#failed = demand;
    }
  }

  async #send(value: OutputValue): Promise<void> {
    if (this.#dryRun) return;
    const { writer, readBackMs, deps } = this.#options;
    await writer.write(value);
    if (readBackMs === undefined || writer.read === undefined) return;
    await sleep(deps.clock, readBackMs, this.#stopping.signal);
    const found = await writer.read();
    if (found !== value)
      throw outputFailure('output-mismatch', `${value} was written, and ${found} was read back after ${readBackMs} ms`);
  }

  /** Records a command, once with its first failure and once when it is written. */
  #command(value: OutputValue, demand: OutputDemand, failure: string | undefined): void {
    const { id, target, audit, deps } = this.#options;
    const outcome = failure === undefined ? (this.#dryRun ? 'dry-run' : 'written') : 'failed';
    const command = { output: id, ...demand, value, target, outcome, failure, repeated: this.#repeated } as const;
    this.#repeated = 0;
    deps.log.info(command, outcome === 'failed' ? 'An output could not be written.' : 'Output.');
    void audit(command);
    this.#storing = Promise.all([this.#storing, this.#store(command)]).then(() => undefined);
  }

  async #store(command: OutputCommand): Promise<void> {
    const { id, records, deps } = this.#options;
    const timestampMs = deps.clock.nowMs();
    try {
      const body = snakeJson(command);
      await records.append([{ kind: 'output', timestampMs, body, alarm: undefined }]);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#metrics.andon_output_records_lost_total.inc({ output: id });
      records.lost([{ kind: 'output', timestampMs }], errorCode(error));
    }
  }

  #report(failure: unknown): void {
    const { config, target } = this.#options;
    if (this.#disposed !== undefined) return;
    if (config.heldBecause !== undefined)
      this.#health.report('degraded', `${target} is not written: ${config.heldBecause}`, 'output-held');
    else if (failure !== undefined) {
      const reason = `${target} could not be written: ${errorMessage(failure)}`;
      this.#health.report('degraded', reason, errorCode(failure));
    } else if (this.#dryRun) this.#health.report('ok', 'dry run: nothing is written', 'dry-run');
    else this.#health.report('ok');
  }

  #showState(): void {
    for (const show of ['on', 'off', 'safe'] as const)
      this.#metrics.andon_output_state.set({ output: this.#options.id, show }, show === this.#demand.show ? 1 : 0);
  }

  #nowMs(): number {
    return this.#options.deps.clock.monotonicMs();
  }
}
