/** A topic filter, split into its levels; `+` stands for any one level, `#` at the end for any number of them. */
export type TopicFilter = readonly string[];

/** @see MQTT 5, section 4.8.2: `$share/{group}/{filter}` is answered on the topics of the filter alone. */
const shared = /^\$share\/[^/]+\//;

export function parseTopicFilter(filter: string): TopicFilter {
  return filter.replace(shared, '').split('/');
}

/** Whether a filter is for one topic only, which is then the filter itself. */
export function isPlainTopic(filter: string): boolean {
  return !/[+#]/.test(filter) && !shared.test(filter);
}

/**
 * Whether a topic is one of the filter's.
 * @see MQTT 3.1.1, section 4.7: wildcards at the front leave out topics that begin with `$`.
 */
export function matchesTopicFilter(filter: TopicFilter, topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') === true && (filter[0] === '+' || filter[0] === '#')) return false;
  for (const [index, level] of filter.entries()) {
    if (level === '#') return true;
    if (index >= topic.length || (level !== '+' && level !== topic[index])) return false;
  }
  return filter.length === topic.length;
}

/** A text from outside, fit to be shown to an operator: no control characters, and no longer than needed. */
export function shownTopic(topic: string): string {
  return topic.slice(0, TOPIC_SHOWN_MAX).replaceAll(/\p{Cc}/gu, '?');
}

const TOPIC_SHOWN_MAX = 200;
