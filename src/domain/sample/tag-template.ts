/** Text with places to fill in: `{asset}.{name}`. */
export type TagTemplate = readonly TemplatePart[];

type TemplatePart = { readonly text: string } | { readonly place: string };

const part = /\{([A-Za-z_]\w*)\}|([^{}]+)/y;

/** Returns the template, or undefined if the text is invalid: an unmatched brace, or a place without a name. */
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

/** @param values Value of each place. A place without a value stays empty. */
export function fillTagTemplate(template: TagTemplate, values: ReadonlyMap<string, string>): string {
  return template.map((each) => ('text' in each ? each.text : (values.get(each.place) ?? ''))).join('');
}

/** Returns true if the template matches the name with non-empty values. */
export function matchesTemplate(template: TagTemplate, name: string): boolean {
  const seen = new Set<string>();
  const pattern = template.map((each) => {
    if ('text' in each) return each.text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
    if (seen.has(each.place)) return String.raw`\k<${each.place}>`;
    seen.add(each.place);
    return `(?<${each.place}>.+)`;
  });
  return new RegExp(`^${pattern.join('')}$`, 'su').test(name);
}

/** Returns the number of literal characters. If several templates match a name, the one with the most is used. */
export function literalLength(template: TagTemplate): number {
  return template.reduce((sum, each) => sum + ('text' in each ? each.text.length : 0), 0);
}
