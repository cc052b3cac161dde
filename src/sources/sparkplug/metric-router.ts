import type { SourceContext, TagRefusal } from '../../contracts/source.ts';
import type { TagNumber } from '../../domain/sample/tag.ts';
import { fillTagTemplate, parseTagTemplate } from '../../domain/sample/tag-template.ts';
import { PatternTags, tagNumberOf } from '../source-tags.ts';
import { matchesTopicFilter, parseTopicFilter } from '../../protocols/mqtt/mqtt-topic-filter.ts';
import { sparkplugFilter } from '../../protocols/sparkplug/sparkplug-topic.ts';
import { type ValueMap, valueMapOf } from '../text-value.ts';
import { placeOf, type SparkplugPatternConfig, type SparkplugSourceConfig } from './sparkplug-source-config.ts';

/** Address of a metric; `device` is undefined for a metric of the edge node itself. */
export type MetricAddress = {
  readonly group: string;
  readonly edgeNode: string;
  readonly device: string | undefined;
  readonly metric: string;
};

/** A tag that reads a metric. */
export type MetricTag = {
  readonly tag: TagNumber;
  readonly scale: number;
  readonly offset: number;
  /** Numbers of texts; undefined without `map`. */
  readonly map: ValueMap | undefined;
};

/** Metrics of an edge node that tags name, by device; undefined for its own. */
export type ExpectedMetrics = ReadonlyMap<string | undefined, readonly string[]>;

export type RefusedMetric = { readonly pattern: string; readonly reason: TagRefusal; readonly text: string };

type RouterContext = Pick<SourceContext<SparkplugSourceConfig>, 'config' | 'tagNumbers' | 'bindTag'>;

/** Finds the tags of a metric; called once for each metric of a birth. */
export class MetricRouter {
  readonly #context: RouterContext;
  readonly #fixed = new Map<string, MetricTag[]>();
  readonly #patterns: readonly (readonly [string, SparkplugPatternConfig])[];
  readonly #patternTags: PatternTags;

  constructor(context: RouterContext) {
    this.#context = context;
    this.#patternTags = new PatternTags(context.bindTag);
    const { tags, patterns } = context.config;
    for (const [name, { group, edgeNode, device, metric, scale, offset, map }] of Object.entries(tags)) {
      const tag = tagNumberOf(name, context.tagNumbers);
      const key = keyOf({ group, edgeNode, device, metric });
      this.#fixed.set(key, [...(this.#fixed.get(key) ?? []), { tag, scale, offset, map: valueMapOf(map) }]);
    }
    this.#patterns = Object.entries(patterns);
  }

  filters(): readonly string[] {
    const { tags, patterns } = this.#context.config;
    const wanted = [...Object.values(tags), ...Object.values(patterns)];
    const filters = [...new Set(wanted.map(({ group, edgeNode }) => sparkplugFilter(anyOf(group), anyOf(edgeNode))))];
    // A broker may deliver a message once for each matching filter.
    return filters.filter((filter) => !filters.some((other) => other !== filter && covers(other, filter)));
  }

  /** Edge nodes that the configuration names, each once. */
  edgeNodes(): readonly { readonly group: string; readonly edgeNode: string }[] {
    const { tags, patterns } = this.#context.config;
    const named = [...Object.values(tags), ...Object.values(patterns)].filter(
      ({ group, edgeNode }) => anyOf(group) !== '+' && anyOf(edgeNode) !== '+',
    );
    return [...new Map(named.map(({ group, edgeNode }) => [`${group}/${edgeNode}`, { group, edgeNode }])).values()];
  }

  /** Metrics of an edge node that tags name. */
  expected(group: string, edgeNode: string): ExpectedMetrics {
    const tags = Object.values(this.#context.config.tags).filter(
      (tag) => tag.group === group && tag.edgeNode === edgeNode,
    );
    const byDevice = Map.groupBy(tags, ({ device }) => device);
    return new Map(
      [...byDevice].map(([device, members]) => [device, [...new Set(members.map(({ metric }) => metric))]]),
    );
  }

  /** @param onRefused Called for each pattern that matches the metric and cannot make a tag of it. */
  find(address: MetricAddress, onRefused: (refused: RefusedMetric) => void): readonly MetricTag[] {
    const fixed = this.#fixed.get(keyOf(address));
    if (fixed !== undefined) return fixed;
    return this.#patterns.flatMap(([id, pattern]): readonly MetricTag[] => {
      const values = matchPattern(pattern, address);
      if (values === undefined) return [];
      const name = fillTagTemplate(parseTagTemplate(pattern.tag) ?? [], values);
      const tag = this.#patternTags.bind(id, name, keyOf(address));
      if (typeof tag === 'number')
        return [{ tag, scale: pattern.scale, offset: pattern.offset, map: valueMapOf(pattern.map) }];
      const why = tag === 'too-many' ? `has made ${pattern.maxTags} tags, its maxTags` : `can't make the tag ${name}`;
      onRefused({ pattern: id, reason: tag, text: `pattern ${id} ${why}: ${keyOf(address)} is dropped` });
      return [];
    });
  }

  /** Tags that the configuration names. */
  fixedTags(): readonly TagNumber[] {
    return [...this.#fixed.values()].flatMap((tags) => tags.map(({ tag }) => tag));
  }
}

/** Only the name of a metric, which comes last, may contain a slash. */
function keyOf({ group, edgeNode, device, metric }: MetricAddress): string {
  return `${group}/${edgeNode}/${device ?? ''}/${metric}`;
}

/** True if `wider` matches every topic of `narrower`; both are Sparkplug filters. */
function covers(wider: string, narrower: string): boolean {
  return matchesTopicFilter(parseTopicFilter(wider), narrower.split('/'));
}

function anyOf(text: string): string {
  return placeOf(text) === undefined ? text : '+';
}

function matchPattern(
  pattern: SparkplugPatternConfig,
  address: MetricAddress,
): ReadonlyMap<string, string> | undefined {
  const values = new Map<string, string>();
  const pairs = [
    [pattern.group, address.group],
    [pattern.edgeNode, address.edgeNode],
    [pattern.device, address.device],
    [pattern.metric, address.metric],
  ] as const;
  for (const [wanted, found] of pairs) {
    const place = placeOf(wanted);
    if (place === undefined ? wanted !== found && !(wanted === '+' && found !== undefined) : found === undefined)
      return undefined;
    if (place !== undefined && found !== undefined) values.set(place, found.replaceAll('/', '.'));
  }
  return values;
}
