/** A topic with places for whole levels: `acme/+/{asset}/{name}`; `+` is a place without a name. */
export type TopicPattern = readonly PatternLevel[];

type PatternLevel = { readonly text: string } | { readonly place: string };

const place = /^\{([A-Za-z_]\w*)\}$/;

/** @returns undefined where the text is none: `#`, a place that is not a whole level, or the same place twice. */
export function parseTopicPattern(text: string): TopicPattern | undefined {
  const seen = new Set<string>();
  const levels: PatternLevel[] = [];
  for (const level of text.split('/')) {
    const name = level === '+' ? '' : place.exec(level)?.[1];
    if (name === undefined && /[{}+#]/.test(level)) return undefined;
    if (name !== undefined && name !== '' && seen.has(name)) return undefined;
    if (name !== undefined) seen.add(name);
    levels.push(name === undefined ? { text: level } : { place: name });
  }
  return levels;
}

/** What to subscribe to. */
export function topicFilterOf(pattern: TopicPattern): string {
  return pattern.map((level) => ('text' in level ? level.text : '+')).join('/');
}

export function placesOfTopic(pattern: TopicPattern): readonly string[] {
  return pattern.flatMap((level) => ('place' in level && level.place !== '' ? [level.place] : []));
}

/**
 * What stands in the places of a topic.
 * @param topic The levels of the topic.
 * @returns undefined where the topic is not the pattern's, or a place in it is empty.
 */
export function matchTopicPattern(
  pattern: TopicPattern,
  topic: readonly string[],
): ReadonlyMap<string, string> | undefined {
  if (pattern.length !== topic.length) return undefined;
  const values = new Map<string, string>();
  for (const [index, level] of pattern.entries()) {
    const found = topic[index] ?? '';
    if ('text' in level) {
      if (level.text !== found) return undefined;
    } else if (level.place !== '') {
      if (found === '') return undefined;
      values.set(level.place, found);
    }
  }
  return values;
}
