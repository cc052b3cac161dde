import type { SparkplugMetric } from '../../protocols/sparkplug/sparkplug-payload.ts';
import { isSingleValue, kindText } from './metric-number.ts';
import type { MetricTag } from './metric-router.ts';

/** A metric of a birth that has tags. */
export type BornMetric = {
  /** The name of a member of a template begins with that of the template: `Motor 1/Temp`. */
  readonly name: string;
  readonly dataType: number | undefined;
  readonly tags: readonly MetricTag[];
};

/** Metrics of a birth of an edge node or a device. */
export type Birth = {
  readonly metrics: readonly BornMetric[];
  /** Name by alias, also of metrics without tags. An alias with two names is absent. */
  readonly aliases: ReadonlyMap<number, string>;
  /** Names of each alias that has several. A value by such an alias belongs to none of them. */
  readonly ambiguous: ReadonlyMap<number, readonly string[]>;
  /** Why a metric of the birth cannot make a tag, by its name. */
  readonly unreadable: ReadonlyMap<string, string>;
};

/** A metric with a value of its own, and the full name. */
export type NamedMetric = { readonly name: string; readonly metric: SparkplugMetric };

/** @param tagsOf Returns the tags of a metric by its name. */
export function readBirth(metrics: readonly SparkplugMetric[], tagsOf: (name: string) => readonly MetricTag[]): Birth {
  const aliases = new Map<number, string>();
  const ambiguous = new Map<number, readonly string[]>();
  const unreadable = new Map<string, string>();
  const born: BornMetric[] = [];
  const seen = new Set<string>();
  for (const { name, metric } of namedMetrics(metrics, () => undefined)) {
    const { alias, dataType, value } = metric;
    if (seen.has(name)) unreadable.set(name, 'there twice');
    seen.add(name);
    if (alias !== undefined) {
      const other = aliases.get(alias);
      if (other !== undefined && other !== name)
        ambiguous.set(alias, [...new Set([...(ambiguous.get(alias) ?? [other]), name])]);
      aliases.set(alias, name);
    }
    if (!isSingleValue(value, dataType)) {
      unreadable.set(name, value.kind === 'none' ? 'null' : kindText(value.kind));
      continue;
    }
    const tags = tagsOf(name);
    if (tags.length > 0) born.push({ name, dataType, tags });
  }
  for (const alias of ambiguous.keys()) aliases.delete(alias);
  return { metrics: born.filter(({ name }) => !unreadable.has(name)), aliases, ambiguous, unreadable };
}

/** Returns the aliases without a name in a message, with those of template members. */
export function bareAliases(metrics: readonly SparkplugMetric[]): readonly number[] {
  return metrics.flatMap(({ name, alias, value }) => [
    ...(alias === undefined || (name !== undefined && name !== '') ? [] : [alias]),
    ...(value.kind === 'template' ? bareAliases(value.members) : []),
  ]);
}

/**
 * Returns the metrics with their full names: also the templates themselves and, after each, its members. Metrics whose name is
 * unknown are left out.
 *
 * @param nameOf Returns the name of an alias. The name in the message has priority: it cannot belong to another metric.
 */
export function namedMetrics(
  metrics: readonly SparkplugMetric[],
  nameOf: (alias: number) => string | undefined,
  prefix = '',
): readonly NamedMetric[] {
  return metrics.flatMap((metric): readonly NamedMetric[] => {
    const { alias } = metric;
    const own = metric.name === undefined || metric.name === '' ? undefined : `${prefix}${metric.name}`;
    const name = own ?? (alias === undefined ? undefined : nameOf(alias));
    if (name === undefined) return [];
    const named = [{ name, metric }];
    if (metric.value.kind !== 'template' || metric.value.isDefinition) return named;
    // Members without a time have the time of their template.
    const members = metric.value.members.map((member) => ({
      ...member,
      timestamp: member.timestamp ?? metric.timestamp,
      isHistorical: member.isHistorical || metric.isHistorical,
      quality: member.quality ?? metric.quality,
    }));
    return [...named, ...namedMetrics(members, nameOf, `${name}/`)];
  });
}
