import type { SourceContext } from '../contracts/source.ts';
import type { WaveformResult, WaveformRules } from '../contracts/waveforms/waveform-analysis.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { BAD, type QualityCode, type QualityReason } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import { errorMessage } from '../platform/errors.ts';
import { needsSpeed, WAVEFORM_SAMPLES_MAX } from './waveform-fields.ts';

export type WaveformChannelOptions = {
  /** Name of the waveform. */
  readonly name: string;
  readonly rules: WaveformRules;
  /** Tags of the features, in the order of `waveformTags`. */
  readonly tags: readonly TagNumber[];
  readonly context: Pick<SourceContext<unknown>, 'sink' | 'waveforms' | 'deps'>;
};

/** Time and quality of a waveform. */
export type WaveformStamp = {
  readonly timeMs: EpochMs;
  readonly quality: QualityCode;
  readonly reason: QualityReason;
};

/** Why a waveform has no features. */
export type WaveformFault = { readonly reason: QualityReason; readonly text: string };

/**
 * Makes one sample of each feature from each waveform of a tag, in the order in which the waveforms arrive. A waveform without
 * features makes bad samples.
 */
export class WaveformChannel {
  readonly tags: readonly TagNumber[];
  readonly name: string;
  readonly #options: WaveformChannelOptions;
  readonly #batch: SampleBatch;
  readonly #needsSpeed: readonly boolean[];
  /** Resolves when the samples of all waveforms so far are delivered. */
  #delivered: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: WaveformChannelOptions) {
    this.tags = options.tags;
    this.name = options.name;
    this.#options = options;
    this.#batch = new SampleBatch(options.tags.length);
    this.#needsSpeed = needsSpeed(options.rules);
  }

  /** Delivers nothing more. */
  close(): void {
    this.#closed = true;
  }

  async delivered(): Promise<void> {
    await this.#delivered;
  }

  /** @param samples In engineering units. The memory is taken over. */
  accept(samples: Float64Array<ArrayBuffer>, stamp: WaveformStamp): WaveformFault | undefined {
    const { name, rules, context } = this.#options;
    const fault = stamp.quality === BAD ? undefined : faultOf(samples, rules);
    if (stamp.quality === BAD || fault !== undefined) {
      this.fail(fault?.reason ?? stamp.reason, stamp.timeMs);
      return fault;
    }
    const { waveforms, deps } = context;
    const job = { tag: name, timeMs: stamp.timeMs, samples, rules };
    const analysis = waveforms?.analyse(job) ?? Promise.reject(new Error('waveforms are not analysed here'));
    const result = analysis.then(
      (found) => () => this.#deliver(found, stamp),
      (error: unknown) => () => {
        deps.log.debug({ tag: name, err: errorMessage(error) }, 'Waveform dropped.');
        this.#deliverBad('waveform-dropped', stamp.timeMs);
      },
    );
    this.#inTurn(result);
    return undefined;
  }

  /** Makes every feature bad, after the waveforms that wait. */
  fail(reason: QualityReason, timeMs: EpochMs): void {
    this.#inTurn(Promise.resolve(() => this.#deliverBad(reason, timeMs)));
  }

  #inTurn(result: Promise<() => void>): void {
    this.#delivered = Promise.all([result, this.#delivered]).then(([deliver]) => {
      if (!this.#closed) deliver();
    });
  }

  #deliver({ values }: WaveformResult, { timeMs, quality, reason }: WaveformStamp): void {
    this.#batch.clear();
    for (const [index, tag] of this.tags.entries()) {
      const value = values[index] ?? Number.NaN;
      if (Number.isFinite(value)) this.#batch.add(tag, value, timeMs, quality, reason);
      else this.#batch.add(tag, value, timeMs, BAD, this.#needsSpeed[index] === true ? 'speed-unknown' : 'not-finite');
    }
    this.#options.context.sink.accept(this.#batch);
  }

  #deliverBad(reason: QualityReason, timeMs: EpochMs): void {
    this.#batch.clear();
    for (const tag of this.tags) this.#batch.add(tag, Number.NaN, timeMs, BAD, reason);
    this.#options.context.sink.accept(this.#batch);
  }
}

function faultOf(samples: Float64Array, { samplesMin }: WaveformRules): WaveformFault | undefined {
  const { length } = samples;
  if (length < samplesMin)
    return { reason: 'waveform-short', text: `expected ${samplesMin} samples or more (samplesMin), found ${length}` };
  if (length > WAVEFORM_SAMPLES_MAX)
    return { reason: 'payload-invalid', text: `expected at most ${WAVEFORM_SAMPLES_MAX} samples, found ${length}` };
  const at = samples.findIndex((value) => !Number.isFinite(value));
  return at === -1 ? undefined : { reason: 'not-finite', text: `sample ${at} of ${length} is not a finite number` };
}
