/** Place of the cursor in a YAML text, for completion. */
export type YamlPlace = {
  /** Keys from the root to the map that the cursor is in, or to the key whose value it is in. */
  readonly path: readonly string[];
  readonly kind: 'key' | 'value';
  /** Offset at which the word before the cursor starts. */
  readonly from: number;
};

const KEY = /^(\s*)(?:- )?(?:"([^"]*)"|'([^']*)'|([^\s#'"{[][^:#]*?))\s*:(?:\s+(.*)|)$/;

/**
 * Finds the place of an offset by indentation and open braces. It must work in a text that is not valid YAML yet, so no parser is
 * used.
 */
export function yamlPlace(text: string, offset: number): YamlPlace {
  const before = text.slice(0, offset).split('\n');
  const line = before.at(-1) ?? '';
  const lines = before.slice(0, -1);
  const inBraces = bracePlace(line, offset);
  if (inBraces !== undefined) {
    const own = KEY.exec(line.slice(0, line.indexOf('{')).trimEnd());
    const indent = own?.[1]?.length ?? line.length;
    return { ...inBraces, path: [...parents(lines, indent), ...keyOf(own), ...inBraces.path] };
  }
  const key = KEY.exec(line);
  const value = key?.[5];
  if (key !== null && value !== undefined)
    return {
      path: [...parents(lines, key[1]?.length ?? 0), ...keyOf(key)],
      kind: 'value',
      from: offset - value.length,
    };
  const word = line.trimStart();
  return { path: parents(lines, line.length - word.length), kind: 'key', from: offset - word.length };
}

/** Returns the keys of the lines above that have less indentation. */
function parents(lines: readonly string[], indent: number): readonly string[] {
  const path: string[] = [];
  let below = indent;
  for (const line of lines.toReversed()) {
    const key = KEY.exec(line);
    const own = key?.[1]?.length ?? 0;
    if (key === null || own >= below) continue;
    path.unshift(...keyOf(key));
    below = own;
  }
  return path;
}

function keyOf(match: RegExpExecArray | null): readonly string[] {
  const key = match?.[2] ?? match?.[3] ?? match?.[4];
  return key === undefined ? [] : [key];
}

/** Returns the place inside the last open brace of a line; undefined if there is none. */
function bracePlace(line: string, offset: number): YamlPlace | undefined {
  const open: number[] = [];
  for (const { 0: brace, index } of line.matchAll(/[{}]/g))
    if (brace === '{') open.push(index);
    else open.pop();
  const start = open.at(-1);
  if (start === undefined) return undefined;
  const path = open.slice(1).flatMap((brace) => {
    const key = /([^\s,{]+)\s*:\s*$/.exec(line.slice(0, brace))?.[1];
    return key === undefined ? [] : [key];
  });
  const entry =
    line
      .slice(start + 1)
      .split(',')
      .at(-1) ?? '';
  const pair = /^\s*([^\s:]+)\s*:\s+(.*)$/.exec(entry);
  if (pair !== null) return { path: [...path, pair[1] ?? ''], kind: 'value', from: offset - (pair[2]?.length ?? 0) };
  return { path, kind: 'key', from: offset - entry.trimStart().length };
}
