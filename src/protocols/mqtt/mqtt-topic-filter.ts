/** A topic filter as its levels; `+` matches one level, `#` at the end any number of levels. */
export type TopicFilter = readonly string[];

/** @see MQTT 5, section 4.8.2: messages of `$share/{group}/{filter}` have topics of the filter. */
const shared = /^\$share\/[^/]+\//;

export function parseTopicFilter(filter: string): TopicFilter {
  return filter.replace(shared, '').split('/');
}

/** True if a filter matches one topic only, which equals the filter. */
export function isPlainTopic(filter: string): boolean {
  return !/[+#]/.test(filter) && !shared.test(filter);
}

/**
 * True if the filter matches the topic.
 * @see MQTT 3.1.1, section 4.7: a leading wildcard does not match topics that begin with `$`.
 */
export function matchesTopicFilter(filter: TopicFilter, topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') === true && (filter[0] === '+' || filter[0] === '#')) return false;
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true;
    if (index >= topic.length || (level !== '+' && level !== topic[index])) return false;
  }
  return filter.length === topic.length;
}

/** A received text for display: without control characters, which a terminal could execute, and shortened. */
export function shownTopic(topic: string): string {
  return topic.slice(0, TOPIC_SHOWN_MAX).replaceAll(/\p{Cc}/gu, '?');
}

const TOPIC_SHOWN_MAX = 200;
