import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/*
 * The repository's own rules, checked on its text. Each rule is a function from a file to its breaches, and each
 * has a canary: a text that must be found guilty, so that a rule that stopped looking is noticed.
 */
const root = resolve(import.meta.dirname, '..');
const source = join(root, 'src');

/** Lower may never import higher. Folders on one floor never import each other. */
const floors: Readonly<Record<string, number>> = {
  domain: 0,
  platform: 1,
  contracts: 2,
  sources: 3,
  pipeline: 3,
  features: 3,
  inference: 3,
  training: 3,
  outbox: 3,
  uplinks: 3,
  http: 3,
  plant: 3,
  app: 4,
  hosts: 4,
  cli: 5,
};

type Breach = string;
type Rule = (path: string, text: string) => readonly Breach[];

const importsGoDownward: Rule = (path, text) => {
  const folder = path.split('/')[0] ?? '';
  return imports(text).flatMap((specifier) => {
    if (specifier.startsWith('.'))
      return floorBreach(folder, relative(source, resolve(source, dirname(path), specifier)), path);
    if (folder === 'domain') return [`${path} imports ${specifier}: domain knows no npm and no node:`];
    return [];
  });
};

function floorBreach(folder: string, target: string, path: string): readonly Breach[] {
  const targetFolder = target.split('/')[0] ?? '';
  const from = floors[folder];
  const to = floors[targetFolder];
  if (from === undefined || to === undefined) return [`${path} imports ${target}: no such floor`];
  if (folder === targetFolder) return [];
  if (to < from) return [];
  return [`${path} (floor ${from}) imports ${target} (floor ${to})`];
}

const timeAndChanceComeFromDeps: Rule = (path, text) => {
  // The dashboard's script runs in a browser, which has no deps to hand in.
  if (/^(platform|cli|http\/dashboard)\//.test(path)) return [];
  // A socket's `setTimeout` is a limit of the connection, and no timer.
  const found = /(?<!\bsocket\.)\b(Date\.now|Math\.random|setTimeout|setInterval|process\.env|console\.\w+)\b/.exec(
    code(text),
  );
  return found === null ? [] : [`${path} uses ${found[0]}: it comes in through deps`];
};

const exitsOnlyInCli: Rule = (path, text) =>
  path.startsWith('cli/') || !/\bprocess\.exit\(/.test(code(text))
    ? []
    : [`${path} calls process.exit: only the cli may`];

const namesAreExported: Rule = (path, text) => [
  ...(/^export default/m.test(text) ? [`${path} has a default export`] : []),
  ...(/^export \* from/m.test(text) ? [`${path} is a barrel`] : []),
];

const fileNamesSayWhatIsInside: Rule = (path) =>
  /(^|\/)[a-z0-9-]+\.(ts|html|css|js)$/.test(path) &&
  !/(^|\/)(utils?|types?|helpers?|index|misc|common)\.ts$/.test(path)
    ? []
    : [`${path}: kebab-case, named for the one thing inside`];

const nothingIsLeftUndone: Rule = (path, text) =>
  /\b(TODO|FIXME|XXX|HACK)\b/.test(text) ? [`${path} has an unfinished mark`] : [];

const commentsLeaveIssuesOut: Rule = (path, text) =>
  /(\/\/|\*).*\b(issue|PR) ?#?\d+/i.test(text) ? [`${path} names an issue number in a comment`] : [];

const rules: readonly { readonly title: string; readonly rule: Rule; readonly canary: readonly [string, string] }[] = [
  {
    title: 'imports go downward only, and siblings do not know each other',
    rule: importsGoDownward,
    canary: ['sources/a.ts', "import { b } from '../pipeline/b.ts';"],
  },
  {
    title: 'domain is free of node: and npm',
    rule: importsGoDownward,
    canary: ['domain/a.ts', "import fs from 'node:fs';"],
  },
  {
    title: 'time, chance, environment and console come in through deps',
    rule: timeAndChanceComeFromDeps,
    canary: ['http/a.ts', 'const now = Date.now();'],
  },
  { title: 'only the cli ends the process', rule: exitsOnlyInCli, canary: ['app/a.ts', 'process.exit(1);'] },
  {
    title: 'exports are named and there are no barrels',
    rule: namesAreExported,
    canary: ['http/a.ts', "export * from './b.ts';"],
  },
  { title: 'a file is named for what is inside', rule: fileNamesSayWhatIsInside, canary: ['http/utils.ts', ''] },
  { title: 'nothing is left undone', rule: nothingIsLeftUndone, canary: ['http/a.ts', '// TODO later'] },
  {
    title: 'comments speak to a reader who never saw the diff',
    rule: commentsLeaveIssuesOut,
    canary: ['http/a.ts', '// see issue #12'],
  },
];

describe('the repository keeps its own rules', () => {
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(source, join(entry.parentPath, entry.name)));

  test.each(rules)('$title', ({ rule, canary }) => {
    expect(rule(...canary), 'the canary must be found').not.toEqual([]);
    expect(files.flatMap((path) => rule(path, readFileSync(join(source, path), 'utf8')))).toEqual([]);
  });
});

function imports(text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].flatMap((match) => match[1] ?? []);
}

/** The text without its comments. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}
