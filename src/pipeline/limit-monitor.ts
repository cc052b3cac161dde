import { limitAlarmId } from '../domain/alarm/alarm.ts';
import { formatNumber } from '../domain/alarm/alarm-message.ts';
import type { RaisingCause } from '../domain/alarm/alarm-logic.ts';
import { isBeyond } from '../domain/alarm/limit-rule.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import { GOOD } from '../domain/sample/quality.ts';
import type { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { AlarmDefinition, AlarmInput, AlarmService } from './alarm-service.ts';
import { type ConfiguredLimit, limitsOf, type LimitsConfig } from './limit-config.ts';
import type { Entry } from './recorder.ts';

type Limit = ConfiguredLimit & { readonly alarm: string };

/** A tag with limits, and its last good value. */
type LimitedTag = {
  readonly tag: Tag;
  readonly limits: readonly Limit[];
  readonly suppressWhen: LimitsConfig['suppressWhen'];
  /** Undefined before the first good value, and while the value is not good. */
  value: number | undefined;
  timestampMs: EpochMs;
  /** Change per second, without sign; undefined before two good values in a row. */
  rate: number | undefined;
  /** Time since which there is no good value; undefined while there is. */
  blindSinceMs: EpochMs | undefined;
};

/** Returns the alarms of the limits, in the order of the configuration. */
export function limitAlarms(limits: Readonly<Record<string, LimitsConfig>>): readonly AlarmDefinition[] {
  return Object.entries(limits).flatMap(([tag, config]) =>
    limitsOf(config).map(({ level, onDelayMs, offDelayMs, priority }) => ({
      id: limitAlarmId(tag, level),
      watch: '',
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
  readonly alarms: Pick<AlarmService, 'apply' | 'isActive'>;
  /** Returns whether a state of the plant suppresses alarms; undefined if the state is not known. */
  readonly suppressed: (when: NonNullable<LimitsConfig['suppressWhen']>) => boolean | undefined;
  readonly nowMs: EpochMs;
};

/**
 * Compares tags with their limits: a good value is normal or beyond, any other value is unknown and neither raises nor
 * clears. A value holds until the next one, so that a delay also ends while a source sends only changes.
 */
export class LimitMonitor {
  readonly #options: LimitMonitorOptions;
  /** By tag number. */
  readonly #tags = new Map<number, LimitedTag>();

  constructor(options: LimitMonitorOptions) {
    this.#options = options;
    const byName = new Map(options.tags.map((tag) => [tag.name, tag]));
    for (const [name, config] of Object.entries(options.limits)) {
      const tag = byName.get(name);
      if (tag === undefined) continue;
      const limits = limitsOf(config).map((limit) => ({ ...limit, alarm: limitAlarmId(name, limit.level) }));
      const unknown = { value: undefined, rate: undefined, timestampMs: options.nowMs, blindSinceMs: options.nowMs };
      this.#tags.set(tag.number, { tag, limits, suppressWhen: config.suppressWhen, ...unknown });
    }
  }

  /** @returns Records of the alarms that changed. */
  accept(batch: SampleBatch): readonly Entry[] {
    if (this.#tags.size === 0) return [];
    const entries: Entry[] = [];
    for (let index = 0; index < batch.length; index += 1) {
      const limited = this.#tags.get(batch.tags[index] ?? -1);
      if (limited === undefined) continue;
      const good = batch.qualities[index] === GOOD;
      take(limited, good ? batch.values[index] : undefined, batch.timesMs[index] ?? 0);
      entries.push(...this.#judge(limited, limited.timestampMs));
    }
    return entries;
  }

  /** Lets delays pass while no value arrives. @returns Records of the alarms that changed. */
  tick(nowMs: EpochMs): readonly Entry[] {
    return [...this.#tags.values()].flatMap((limited) => this.#judge(limited, Math.max(nowMs, limited.timestampMs)));
  }

  /** Returns the tags without a good value, with the time since when. */
  blind(): readonly { readonly tag: Tag; readonly sinceMs: EpochMs }[] {
    return [...this.#tags.values()].flatMap(({ tag, blindSinceMs }) =>
      blindSinceMs === undefined ? [] : [{ tag, sinceMs: blindSinceMs }],
    );
  }

  #judge(limited: LimitedTag, timestampMs: EpochMs): readonly Entry[] {
    const { alarms, suppressed } = this.#options;
    const isSuppressed = limited.suppressWhen === undefined ? false : suppressed(limited.suppressWhen);
    return limited.limits.flatMap((limit) => {
      const value = limit.level === 'rateOfChange' ? limited.rate : limited.value;
      const condition =
        value === undefined ? 'unknown' : isBeyond(value, limit, alarms.isActive(limit.alarm)) ? 'abnormal' : 'normal';
      return alarms.apply(alarmInput(limited, limit, { condition, timestampMs, suppressed: isSuppressed }));
    });
  }
}

function take(limited: LimitedTag, value: number | undefined, timestampMs: EpochMs): void {
  const seconds = (timestampMs - limited.timestampMs) / 1000;
  limited.rate =
    value === undefined || limited.value === undefined || seconds <= 0
      ? undefined
      : Math.abs(value - limited.value) / seconds;
  limited.value = value;
  limited.timestampMs = timestampMs;
  if (value !== undefined) limited.blindSinceMs = undefined;
  else limited.blindSinceMs ??= timestampMs;
}

const raisingCauses = {
  highHigh: 'value-above-limit',
  high: 'value-above-limit',
  low: 'value-below-limit',
  lowLow: 'value-below-limit',
  rateOfChange: 'rate-above-limit',
} as const satisfies Readonly<Record<Limit['level'], RaisingCause>>;

function alarmInput(
  { tag, value, rate }: LimitedTag,
  { alarm, level, at }: Limit,
  state: Pick<AlarmInput, 'condition' | 'timestampMs' | 'suppressed'>,
): AlarmInput {
  const unit = level === 'rateOfChange' ? `${tag.unit}/s` : tag.unit;
  const measured = (level === 'rateOfChange' ? rate : value) ?? Number.NaN;
  const quantity = (number: number) => `${formatNumber(number)} ${unit}`.trim();
  const verb = level === 'rateOfChange' ? 'changes by' : 'is at';
  const cause = raisingCauses[level];
  const side = cause === 'value-below-limit' ? 'below' : 'above';
  return {
    alarm,
    ...state,
    score: undefined,
    raises: () => ({
      cause,
      message: `${tag.name} ${verb} ${quantity(measured)}, ${side} its limit ${level} of ${quantity(at)}.`,
      parameters: { tag: tag.name, level, value: measured, limit: at, unit },
    }),
    clears: () =>
      `${tag.name} is normal again: it ${verb} ${quantity(measured)}, the limit ${level} is ${quantity(at)}.`,
  };
}
