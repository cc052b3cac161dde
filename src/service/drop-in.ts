import type { UnitNeed } from './unit-needs.ts';

/**
 * Returns the drop-in of the unit that gives the configuration what it needs; undefined if no setting is needed.
 * @param file Configuration, for the comment.
 */
export function dropInText(needs: readonly UnitNeed[], file: string): string | undefined {
  const written = new Set<string>();
  const blocks = needs.flatMap(({ path, reason, settings }) => {
    const lines = settings.map(([key, value]) => `${key}=${value}`).filter((line) => !written.has(line));
    for (const line of lines) written.add(line);
    return lines.length === 0 ? [] : [`# ${path.join('.')}: ${reason}\n${lines.join('\n')}`];
  });
  if (blocks.length === 0) return undefined;
  return `# Written by 'andon unit --write' for ${file}, which replaces this file. Own settings: systemctl edit andon
[Service]
${blocks.join('\n')}
`;
}
