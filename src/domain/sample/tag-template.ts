/** Text with places that are filled in: `{asset}.{name}`. */
export type TagTemplate = readonly TemplatePart[];

type TemplatePart = { readonly text: string } | { readonly place: string };

const part = /\{([A-Za-z_]\w*)\}|([^{}]+)/y;

/** @returns undefined where the text is none: a brace too many, or a place without a name. */
export function parseTagTemplate(text: string): TagTemplate | undefined {
  const parts: TemplatePart[] = [];
  part.lastIndex = 0;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) return undefined;
    const [, place, literal] = match;
    parts.push(place === undefined ? { text: literal ?? '' } : { place });
  }
  return parts;
}

export function placesOf(template: TagTemplate): readonly string[] {
  return template.flatMap((each) => ('place' in each ? [each.place] : []));
}

/** @param values One for each place; a place without one stays empty. */
export function fillTagTemplate(template: TagTemplate, values: ReadonlyMap<string, string>): string {
  return template.map((each) => ('text' in each ? each.text : (values.get(each.place) ?? ''))).join('');
}

/** Whether some values, none of them empty, turn the template into this very name. */
export function canMakeTag(template: TagTemplate, name: string): boolean {
  const seen = new Set<string>();
  const pattern = template.map((each) => {
    if ('text' in each) return each.text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    if (seen.has(each.place)) return String.raw`\k<${each.place}>`;
    seen.add(each.place);
    return `(?<${each.place}>.+)`;
  });
  return new RegExp(`^${pattern.join('')}$`, 'su').test(name);
}

/** Characters that the template gives itself: of two that can make a name, the one with more of them is meant. */
export function literalLength(template: TagTemplate): number {
  return template.reduce((sum, each) => sum + ('text' in each ? each.text.length : 0), 0);
}
