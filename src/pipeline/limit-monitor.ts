import { type RaisingCause, limitAlarmId } from '../domain/alarm/alarm.ts';
import { formatNumber } from '../domain/alarm/alarm-message.ts';
import { isBeyond } from '../domain/alarm/limit-rule.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { GOOD, reasonCode } from '../domain/sample/quality.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { AlarmInput, AlarmService } from './alarm-service.ts';
import { type ConfiguredLimit, limitsOf, type LimitsConfig } from './limit-config.ts';
import type { Entry } from './recorder.ts';

const OUT_OF_RANGE = reasonCode('out-of-range');

type Limit = ConfiguredLimit & { readonly alarm: string };

/** A tag with limits, and its last value. Times of samples are those of the device, the others those of the agent. */
type LimitedTag = {
  readonly tag: Tag;
  readonly limits: readonly Limit[];
  readonly suppressWhen: LimitsConfig['suppressWhen'];
  readonly maxAgeMs: number;
  /** Undefined before the first value, while the value is bad, and after `maxAgeMs` without one. */
  value: number | undefined;
  /** True for a value outside the range of the tag: it may raise an alarm, but clears none. */
  isDoubtful: boolean;
  sampleMs: EpochMs;
  /** When the sample arrived. */
  seenMs: EpochMs;
  /** Change from the value before, without sign, and the seconds between them; undefined without two values in a row. */
  change: { readonly by: number; readonly seconds: number } | undefined;
  /** Time since which there is no value to judge; undefined while there is. */
  blindSinceMs: EpochMs | undefined;
};

/** Returns the alarms of the limits, in the order of the configuration. */
export function limitAlarms(limits: Readonly<Record<string, LimitsConfig>>): readonly AlarmDefinition[] {
  return Object.entries(limits).flatMap(([tag, config]) =>
    limitsOf(config).map(({ level, onDelayMs, offDelayMs, priority }) => ({
      id: limitAlarmId(tag, level),
      watch: undefined,
      title: `${tag} (${level})`,
      onDelayMs,
      offDelayMs,
      priority,
      outOfService: config.outOfService,
      suppressWhen: config.suppressWhen,
    })),
  );
}

export type LimitMonitorOptions = {
  readonly limits: Readonly<Record<string, LimitsConfig>>;
  readonly tags: readonly Tag[];
  readonly alarms: Pick<AlarmService, 'apply' | 'factsOf'>;
  /** Returns whether a state of the plant suppresses alarms; undefined if the state is not known. */
  readonly suppressed: (when: NonNullable<LimitsConfig['suppressWhen']>) => boolean | undefined;
  readonly nowMs: EpochMs;
};

/**
 * Compares tags with their limits: a good value is normal or beyond. A value outside the range of the tag may raise an
 * alarm, but clears none; any other value does neither. A value holds until the next one, at most for `maxAge`, so that a
 * delay also ends while a source sends only changes. Delays count the agent's time.
 */
export class LimitMonitor {
  readonly #options: LimitMonitorOptions;
  /** By tag number. */
  #tags: ReadonlyMap<number, LimitedTag> = new Map();

  constructor(options: LimitMonitorOptions) {
    this.#options = options;
    this.change(options.limits, new Set(), options.nowMs);
  }

  /** @param untouched Tags that are compared on from their last value. */
  change(limits: LimitMonitorOptions['limits'], untouched: ReadonlySet<string>, nowMs: EpochMs): void {
    const byName = new Map(this.#options.tags.map((tag) => [tag.name, tag]));
    const before = this.#tags;
    this.#tags = new Map(
      Object.entries(limits).flatMap(([name, config]) => {
        const tag = byName.get(name);
        if (tag === undefined) return [];
        const kept = untouched.has(name) ? before.get(tag.number) : undefined;
        return [[tag.number, kept ?? limitedTag(tag, config, nowMs)]];
      }),
    );
  }

  /** @returns Records of the alarms that changed. */
  accept(batch: SampleBatch, nowMs: EpochMs): readonly Entry[] {
    if (this.#tags.size === 0) return [];
    const entries: Entry[] = [];
    for (let index = 0; index < batch.length; index += 1) {
      const limited = this.#tags.get(batch.tags[index] ?? -1);
      const sampleMs = batch.timesMs[index] ?? 0;
      // A late sample is not the present value, unless the clock was set back.
      if (limited === undefined || (sampleMs < limited.sampleMs && limited.sampleMs <= nowMs)) continue;
      const value = batch.values[index] ?? Number.NaN;
      const isGood = batch.qualities[index] === GOOD;
      const isDoubtful = !isGood && batch.reasons[index] === OUT_OF_RANGE && Number.isFinite(value);
      take(limited, isGood || isDoubtful ? value : undefined, isDoubtful, sampleMs, nowMs);
      entries.push(...this.#judge(limited, nowMs));
    }
    return entries;
  }

  /** Lets delays pass while no value arrives. @returns Records of the alarms that changed. */
  tick(nowMs: EpochMs): readonly Entry[] {
    return [...this.#tags.values()].flatMap((limited) => {
      if (nowMs - limited.seenMs > limited.maxAgeMs) {
        limited.value = undefined;
        limited.change = undefined;
        limited.blindSinceMs ??= limited.seenMs;
      }
      return this.#judge(limited, nowMs);
    });
  }

  /** Returns the tags without a good value, with the time since when. */
  blind(): readonly { readonly tag: Tag; readonly sinceMs: EpochMs }[] {
    return [...this.#tags.values()].flatMap(({ tag, blindSinceMs }) =>
      blindSinceMs === undefined ? [] : [{ tag, sinceMs: blindSinceMs }],
    );
  }

  #judge(limited: LimitedTag, nowMs: EpochMs): readonly Entry[] {
    const { alarms, suppressed } = this.#options;
    const isSuppressed = limited.suppressWhen === undefined ? false : suppressed(limited.suppressWhen);
    return limited.limits.flatMap((limit) => {
      const value = measured(limited, limit, nowMs);
      const isAbnormal = value !== undefined && isBeyond(value, limit, alarms.factsOf(limit.alarm)?.active === true);
      const isUnknown = value === undefined || (limited.isDoubtful && !isAbnormal);
      const condition = isUnknown ? 'unknown' : isAbnormal ? 'abnormal' : 'normal';
      const state = { condition, timestampMs: nowMs, suppressed: isSuppressed } as const;
      return alarms.apply(alarmInput(limited.tag, limit, value ?? Number.NaN, state));
    });
  }
}

function limitedTag(tag: Tag, config: LimitsConfig, nowMs: EpochMs): LimitedTag {
  return {
    tag,
    limits: limitsOf(config).map((limit) => ({ ...limit, alarm: limitAlarmId(tag.name, limit.level) })),
    suppressWhen: config.suppressWhen,
    maxAgeMs: config.maxAgeMs,
    value: undefined,
    isDoubtful: false,
    sampleMs: -Infinity,
    seenMs: nowMs,
    change: undefined,
    blindSinceMs: undefined,
  };
}

/** Returns the value that a limit is about. A rate falls while no value follows. */
function measured({ value, change, seenMs }: LimitedTag, { level }: Limit, nowMs: EpochMs): number | undefined {
  if (level !== 'rateOfChange') return value;
  return change === undefined ? undefined : change.by / (change.seconds + Math.max(0, nowMs - seenMs) / 1000);
}

function take(
  limited: LimitedTag,
  value: number | undefined,
  isDoubtful: boolean,
  sampleMs: EpochMs,
  nowMs: EpochMs,
): void {
  const seconds = (sampleMs - limited.sampleMs) / 1000;
  const before = limited.value;
  const isRate = value !== undefined && before !== undefined && seconds > 0;
  limited.change = isRate ? { by: Math.abs(value - before), seconds } : undefined;
  limited.value = value;
  limited.isDoubtful = isDoubtful;
  limited.sampleMs = sampleMs;
  limited.seenMs = nowMs;
  if (value !== undefined && !isDoubtful) limited.blindSinceMs = undefined;
  else limited.blindSinceMs ??= nowMs;
}

const raisingCauses = {
  highHigh: 'value-above-limit',
  high: 'value-above-limit',
  low: 'value-below-limit',
  lowLow: 'value-below-limit',
  rateOfChange: 'rate-above-limit',
} as const satisfies Readonly<Record<Limit['level'], RaisingCause>>;

function alarmInput(
  tag: Tag,
  { alarm, level, at }: Limit,
  value: number,
  state: Pick<AlarmInput, 'condition' | 'timestampMs' | 'suppressed'>,
): AlarmInput {
  const unit = level === 'rateOfChange' ? `${tag.unit}/s` : tag.unit;
  const quantity = (number: number) => `${formatNumber(number)} ${unit}`.trim();
  const verb = level === 'rateOfChange' ? 'changes by' : 'is at';
  const cause = raisingCauses[level];
  const parameters = { tag: tag.name, level, value, limit: at, unit };
  const side = cause === 'value-below-limit' ? 'below' : 'above';
  return {
    alarm,
    ...state,
    score: undefined,
    raises: () => ({
      cause,
      message: `${tag.name} ${verb} ${quantity(value)}, ${side} its limit ${level} of ${quantity(at)}.`,
      parameters,
    }),
    clears: () => ({
      message: `${tag.name} is normal again: it ${verb} ${quantity(value)}, the limit ${level} is ${quantity(at)}.`,
      parameters,
    }),
  };
}
