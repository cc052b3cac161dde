/** A topic with places for whole levels: `acme/+/{asset}/{name}`; `+` is a place without a name. */
export type TopicPattern = readonly PatternLevel[];

type PatternLevel = { readonly text: string } | { readonly place: string };

const place = /^\{([A-Za-z_]\w*)\}$/;

/** @returns Undefined if the text is not a pattern: `#`, a place within a level, or the same place twice. */
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

/** Filter of the subscription. */
export function topicFilterOf(pattern: TopicPattern): string {
  return pattern.map((level) => ('text' in level ? level.text : '+')).join('/');
}

export function placesOfTopic(pattern: TopicPattern): readonly string[] {
  return pattern.flatMap((level) => ('place' in level && level.place !== '' ? [level.place] : []));
}

/**
 * Texts of a topic at the places of the pattern.
 * @param topic The levels of the topic.
 * @returns Undefined if the topic does not match, or the text of a place is empty.
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
