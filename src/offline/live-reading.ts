import { dirname } from 'node:path';
import type { Source } from '../contracts/source.ts';
import { QualityGate } from '../domain/sample/quality-gate.ts';
import { type Quality, type QualityReason, qualityOf, reasonOf } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { DueWindow, Windower } from '../domain/window/window-plan.ts';
import { createWindower } from '../domain/window/windower.ts';
import { windowPlan } from '../pipeline/watch.ts';
import { waveformWorkerEntry } from '../platform/entries.ts';
import { WaveformAnalyzer } from '../waveforms/waveform-analyzer.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { DERIVED } from '../config/config-tags.ts';
import type { LoadedKinds } from '../config/kinds.ts';
import { TagRegister } from '../config/tag-register.ts';

const LOOK_MS = 50;

/** One value of a tag, as it was read from its device or topic. */
export type TagValue = {
  readonly tag: string;
  readonly source: string;
  readonly value: number | undefined;
  readonly text: string | undefined;
  readonly unit: string;
  readonly range: readonly [number, number] | undefined;
  readonly quality: Quality;
  readonly reason: QualityReason;
};

/** The last window of a watch; undefined if none was complete in time. */
export type WatchWindow = {
  readonly watch: string;
  readonly tags: readonly string[];
  readonly window: DueWindow | undefined;
};

/**
 * The sources of a configuration without the rest of the agent: nothing is stored, judged or published, so it may run next to an
 * agent. Derived tags are not calculated.
 */
export class LiveReading implements AsyncDisposable {
  readonly #deps: Deps;
  readonly #sources: readonly Source[];
  readonly #waveforms: WaveformAnalyzer;
  readonly #register: TagRegister;
  readonly #gate: QualityGate;
  readonly #gated: SampleBatch;
  readonly #reported: Uint8Array;
  readonly #values = new Map<string, TagValue>();
  /** Time of each value that was read, epoch ms. */
  readonly #timesMs = new Map<string, number>();
  readonly #windows: readonly LiveWindow[];

  /** @param kinds Those of the sources. @param steps Rows of the windows of each watch, by its id. */
  constructor(config: AgentConfig, kinds: LoadedKinds, deps: Deps, steps: ReadonlyMap<string, number> = new Map()) {
    this.#deps = deps;
    const register = new TagRegister(config);
    this.#register = register;
    const { tags } = register;
    this.#gate = new QualityGate(tags);
    this.#gated = new SampleBatch(tags.length);
    this.#reported = new Uint8Array(tags.length);
    const numbers = register.numbers();
    for (const tag of tags) if (tag.name !== '' && tag.source !== DERIVED) this.#values.set(tag.name, unread(tag));
    this.#windows = [...steps].flatMap(([id, rows]) => {
      const watch = config.watches[id];
      if (watch === undefined) return [];
      const columns = new Map(watch.tags.map((tag, column) => [numbers.get(tag) ?? -1, column]));
      const live: LiveWindow = { watch: id, tags: watch.tags, columns, window: undefined, windower: undefined };
      live.windower = createWindower(windowPlan(watch, rows), deps.clock.nowMs(), (window) => (live.window = window));
      return [live];
    });
    this.#waveforms = new WaveformAnalyzer({
      entry: waveformWorkerEntry,
      maxWaiting: () => config.waveforms.maxWaiting,
      readTag: (tag) => {
        const found = this.#values.get(tag);
        return found === undefined ? undefined : { ...found, timestampMs: this.#timesMs.get(tag) ?? 0 };
      },
      deps,
    });
    this.#sources = Object.entries(config.sources).map(([id, source]) =>
      kinds.createSource({
        id,
        config: source,
        tagNumbers: numbers,
        bindTag: (pattern, name) => register.bind(id, pattern, name),
        sink: { accept: (batch) => this.#take(batch) },
        stateFolder: dirname(config.outbox.path),
        history: { add: () => undefined, stored: () => Promise.resolve() },
        waveforms: this.#waveforms,
        deps,
      }),
    );
  }

  start(): void {
    for (const source of this.#sources) source.start();
  }

  /** Resolves when every tag has a good value, or after the time. */
  async values(withinMs: number): Promise<readonly TagValue[]> {
    await this.#until(() => [...this.#values.values()].every(({ quality }) => quality === 'good'), withinMs);
    return [...this.#values.values()];
  }

  /** Resolves when each watch has a window, or after the time. */
  async windows(withinMs: number): Promise<readonly WatchWindow[]> {
    await this.#until(() => this.#windows.every(({ window }) => window !== undefined), withinMs);
    return this.#windows.map(({ watch, tags, window }) => ({ watch, tags, window }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()));
    await this.#waveforms[Symbol.asyncDispose]();
  }

  async #until(isDone: () => boolean, withinMs: number): Promise<void> {
    const { clock } = this.#deps;
    const endMs = clock.monotonicMs() + withinMs;
    while (!isDone() && clock.monotonicMs() < endMs) {
      await sleep(clock, LOOK_MS);
      for (const { windower } of this.#windows) windower?.advance(clock.nowMs());
    }
  }

  #take(batch: SampleBatch): void {
    const nowMs = this.#deps.clock.nowMs();
    this.#gate.pass(batch, nowMs, this.#gated, this.#reported);
    const { tags, timesMs, values, qualities, reasons, length } = this.#gated;
    for (let index = 0; index < length; index += 1) {
      const number = tags[index] ?? -1;
      const tag = this.#register.tags[number];
      if (tag === undefined) continue;
      const quality = qualityOf(qualities[index] ?? 2);
      const reason = reasonOf(reasons[index] ?? 0);
      const value = quality === 'bad' ? undefined : values[index];
      const name = value === undefined ? undefined : tag.names?.[String(value)];
      const text = batch.texts?.get(number) ?? name;
      this.#values.set(tag.name, { ...unread(tag), value, text, quality, reason });
      this.#timesMs.set(tag.name, timesMs[index] ?? 0);
      for (const { columns, windower } of this.#windows) {
        const column = columns.get(number);
        if (column !== undefined)
          windower?.add(column, timesMs[index] ?? 0, values[index] ?? 0, quality === 'good', reasons[index] ?? 0);
      }
    }
    for (const { windower } of this.#windows) windower?.endBatch();
  }
}

type LiveWindow = Omit<WatchWindow, 'window'> & {
  /** Column by the number of the tag. */
  readonly columns: ReadonlyMap<number, number>;
  window: DueWindow | undefined;
  windower: Windower | undefined;
};

function unread({ name, source, unit, range }: Tag): TagValue {
  const nothing = { value: undefined, text: undefined, quality: 'bad', reason: 'not-read-yet' } as const;
  return { tag: name, source, unit, range, ...nothing };
}
