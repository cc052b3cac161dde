import * as z from 'zod';
import type { NotifyTransport } from '../contracts/outputs/notify-channel.ts';
import type { UplinkRecords } from '../contracts/record-store.ts';
import { alarmPriorities, alarmStates } from '../domain/alarm/alarm.ts';
import {
  changed,
  type ChannelRules,
  type ChannelState,
  delivered,
  dropped,
  type DueMessage,
  newChannel,
  nextMessage,
} from '../domain/notify/channel-state.ts';
import { notifyCursor } from '../domain/notify/notify-cursor.ts';
import { messageOf } from '../domain/notify/notify-message.ts';
import { isOpen, type ShiftSchedule } from '../domain/notify/shift-schedule.ts';
import { Backoff } from '../platform/backoff.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { InvariantError, OperatingError } from '../platform/errors.ts';
import { ChannelReport } from './channel-report.ts';
import { NotifyError } from './notify-errors.ts';
import type { NotifyFields } from './notify-fields.ts';

/** State of a channel on disk. */
export interface ChannelJournal {
  /** Returns undefined for a new channel. */
  read(): Promise<ChannelState | undefined>;
  /** @throws {Error} The disk. */
  write(state: ChannelState): Promise<void>;
}

export type NotifierOptions = {
  readonly id: string;
  readonly agentId: string;
  readonly config: NotifyFields;
  readonly records: UplinkRecords;
  readonly journal: ChannelJournal;
  readonly transport: NotifyTransport;
  readonly deps: Deps;
};

/** Longest wait between two looks: a shift may begin, and a commit may not be reported. */
const LOOK_MS = 15_000;
const BATCH = { recordsMax: 500, bytesMax: 1_000_000 };
const BATCHES_MAX = 4;
/** Wait after records could not be read, or the state not be written. */
const STORE_RETRY_MS = 5_000;
/** Longest wait at a stop for a message in flight. It is sent again after the next start. */
const STOP_MS = 2_000;

const recordSchema = z.object({
  alarm: z.string(),
  watch: z.string().nullable(),
  priority: z.enum(alarmPriorities),
  state: z.enum(alarmStates),
  message: z.string(),
  timestamp_ms: z.number(),
  number: z.number(),
});

/**
 * Sends messages about alarms through one channel.
 *
 * It reads alarm records with a cursor of its own, like an uplink, so no alarm is lost while the service or the link is down.
 * What a record changes is in the journal before the cursor moves past it, and the journal has what was sent. A message is
 * repeated only if the agent ends between its delivery and the write of the journal.
 */
export class Notifier implements AsyncDisposable {
  readonly #options: NotifierOptions;
  readonly #rules: ChannelRules;
  readonly #schedule: ShiftSchedule | undefined;
  readonly #report: ChannelReport;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  readonly #abort = new AbortController();
  #state: ChannelState;
  /** Begin of the present shift. */
  #openSinceMs: number | undefined;
  /** Monotonic time of the next attempt. */
  #retryMs = -Infinity;
  #wake = new AbortController();
  #unsubscribe: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #disposed: Promise<void> | undefined;

  constructor(options: NotifierOptions) {
    const { id, config, deps } = options;
    this.#options = options;
    this.#rules = rulesOf(config);
    this.#schedule = scheduleOf(config);
    this.#report = new ChannelReport(id, deps);
    this.#backoff = new Backoff({ firstMs: config.retry.firstMs, maxMs: config.retry.maxMs, random: deps.random });
    this.#state = newChannel(deps.clock.nowMs());
  }

  start(): void {
    if (this.#running !== undefined || this.#disposed !== undefined) return;
    this.#unsubscribe = this.#options.records.onCommit(() => this.#wake.abort());
    this.#running = this.#run();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const { clock } = this.#options.deps;
    this.#unsubscribe?.();
    this.#stopping.abort();
    const ended = new AbortController();
    const end = () => ended.abort();
    // A rejection is a bug of our own, which ends the agent.
    const running = (this.#running ?? Promise.resolve()).then(end, end);
    await Promise.race([running, sleep(clock, STOP_MS, ended.signal)]);
    this.#abort.abort(new NotifyError('notify-timeout', 'The agent stopped before the service answered'));
    await Promise.race([running, sleep(clock, STOP_MS, ended.signal)]);
    await this.#options.transport[Symbol.asyncDispose]();
    this.#report.close();
  }

  async #run(): Promise<void> {
    const { journal, deps } = this.#options;
    const stored = await journal.read();
    if (stored !== undefined) this.#state = stored;
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController();
      const isStored = await this.#takeRecords();
      const waitMs = await this.#sendDue();
      this.#report.waiting(Object.keys(this.#state.waiting).length);
      const limitMs = Math.min(waitMs, isStored ? LOOK_MS : STORE_RETRY_MS);
      await sleep(deps.clock, Math.max(0, limitMs), AbortSignal.any([this.#wake.signal, this.#stopping.signal]));
    }
  }

  /** @returns False if the records could not be read, or the state not be written. */
  async #takeRecords(): Promise<boolean> {
    const { id, records } = this.#options;
    const uplink = notifyCursor(id);
    try {
      for (;;) {
        const batches = await records.read({
          uplink,
          lane: 'backlog',
          kinds: ['alarm'],
          limits: BATCH,
          batchesMax: BATCHES_MAX,
          after: undefined,
        });
        for (const { json } of batches) this.#takeBatch(json);
        await this.#options.journal.write(this.#state);
        if (batches.length > 0) await records.acknowledge(uplink, batches);
        this.#report.stored(undefined);
        if (batches.length === 0 || this.#stopping.signal.aborted) return true;
      }
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      this.#report.stored(error);
      return false;
    }
  }

  #takeBatch(json: Uint8Array): void {
    const records = JSON.parse(new TextDecoder().decode(json)) as readonly unknown[];
    for (const record of records) {
      // A record of an earlier version has no message for people.
      const parsed = recordSchema.safeParse(record);
      if (!parsed.success) continue;
      const { watch, timestamp_ms: timestampMs, ...change } = parsed.data;
      this.#state = changed(this.#state, this.#rules, { ...change, watch: watch ?? '', timestampMs });
    }
  }

  /** Sends the messages that are due. @returns Time to the next one, ms; Infinity if none waits. */
  async #sendDue(): Promise<number> {
    const { clock } = this.#options.deps;
    for (;;) {
      const retryInMs = this.#retryMs - clock.monotonicMs();
      if (retryInMs > 0) return retryInMs;
      const nowMs = clock.nowMs();
      const next = nextMessage(this.#state, this.#rules, this.#openSince(nowMs), nowMs);
      if ('dueMs' in next) return next.dueMs - nowMs;
      if (this.#stopping.signal.aborted) return 0;
      await this.#send(next);
    }
  }

  async #send(due: DueMessage): Promise<void> {
    const { agentId, config, transport, deps, journal } = this.#options;
    const link = config.link === undefined ? undefined : alarmPage(config.link);
    try {
      await within(config.timeoutMs, this.#abort.signal, deps, (signal) =>
        transport.send(messageOf(due, { agent: agentId, link }), signal),
      );
      this.#state = delivered(this.#state, due, deps.clock.nowMs());
      this.#backoff.reset();
      this.#report.sent();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      if (error instanceof OperatingError && error.disposition === 'reject') {
        this.#state = dropped(this.#state, [...due.notices, ...due.others]);
        this.#report.refused(
          error,
          [...due.notices, ...due.others].map(({ alarm }) => alarm),
        );
      } else {
        if (!this.#abort.signal.aborted) this.#report.failed(error);
        const askedMs = error instanceof NotifyError ? error.retryAfterMs : undefined;
        this.#retryMs = deps.clock.monotonicMs() + Math.max(this.#backoff.nextMs(), askedMs ?? 0);
        return;
      }
    }
    // A failure is reported with the next read of records, and the state is written then.
    await journal.write(this.#state).catch((error: unknown) => this.#report.stored(error));
  }

  #openSince(nowMs: number): number | undefined {
    if (this.#schedule !== undefined && !isOpen(this.#schedule, nowMs)) this.#openSinceMs = undefined;
    else this.#openSinceMs ??= this.#schedule === undefined ? -Infinity : nowMs;
    return this.#openSinceMs;
  }
}

/** Returns the URL of the page with the alarms. To open it acknowledges nothing. */
export function alarmPage(link: string): string {
  return `${link.replace(/\/+$/, '')}/alarms`;
}

/** Calls `send` with a signal that ends after the deadline. @throws {NotifyError} 'notify-timeout' (retry). */
export async function within(
  timeoutMs: number,
  stop: AbortSignal | undefined,
  { clock }: Pick<Deps, 'clock'>,
  send: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const call = new AbortController();
  const timer = clock.setTimer(
    () => call.abort(new NotifyError('notify-timeout', `The service did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    await send(stop === undefined ? call.signal : AbortSignal.any([call.signal, stop]));
  } finally {
    timer.cancel();
  }
}

function rulesOf({ on, escalateAfterMs, cooldownMs, maxAgeMs, group }: NotifyFields): ChannelRules {
  const { watches, alarms, priority, returns } = on;
  return {
    selection: { watches, alarms, priority },
    returns,
    escalateAfterMs,
    groupWaitMs: group.waitMs,
    groupMax: group.max,
    cooldownMs,
    maxAgeMs,
  };
}

function scheduleOf({ schedule }: NotifyFields): ShiftSchedule | undefined {
  if (schedule === undefined) return undefined;
  const shifts = schedule.shifts.map(({ days, from, to }) => ({ days, fromMinute: from, toMinute: to }));
  return { timeZone: schedule.timeZone, shifts };
}
