import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

/*
 * The repository's own rules, checked on its text. Each rule is a function from a file to its breaches, and each
 * has a canary: a text that must be found guilty, so that a rule that stopped looking is noticed.
 */
const root = resolve(import.meta.dirname, '..');
const source = join(root, 'src');

/**
 * The folders from the bottom to the top. A file imports only from its own folder and from folders of lines below;
 * folders of one line never import each other. Type-only imports count.
 */
const floors: readonly (readonly string[])[] = [
  ['domain'],
  ['domain/sample'],
  ['domain/window'],
  ['domain/alarm'],
  ['domain/record'],
  ['domain/output', 'domain/notify'],
  ['domain/model'],
  ['domain/rollout'],
  ['domain/learning'],
  ['platform'],
  ['contracts/operation', 'contracts/waveforms'],
  ['contracts'],
  ['contracts/models', 'contracts/outputs'],
  ['csv'],
  ['protocols/http', 'protocols/modbus', 'protocols/open-inference', 'protocols/postgres', 'protocols/sparkplug'],
  ['protocols/mqtt'],
  ['models/errors'],
  ['models/signing'],
  ['models/store'],
  ['models/checks'],
  ['runtime/queue'],
  ['runtime/session'],
  ['runtime/remote'],
  ['runtime/host'],
  ['runtime'],
  ['registry/package', 'registry/audit'],
  ['registry/operations'],
  ['registry/proof'],
  ['registry'],
  ['sources', 'sources/modbus/frame'],
  ['sources/modbus/link'],
  ['sources/modbus/plan'],
  ['sources/modbus/scan', 'sources/modbus/probe'],
  ['sources/modbus', 'sources/mqtt', 'sources/opcua'],
  ['sources/sparkplug', 'sources/opcua/client'],
  ['pipeline', 'waveforms'],
  ['rollout'],
  ['training/core'],
  ['training/graph'],
  [
    'training/boosted-trees',
    'training/control-chart',
    'training/mlp',
    'training/ridge',
    'training/softmax',
    'training/wpca',
  ],
  ['training/catalogue'],
  ['training/report'],
  ['outbox/file'],
  ['outbox/records', 'outbox/alarms', 'outbox/annotations', 'outbox/history'],
  ['outbox'],
  ['uplinks/thinning'],
  ['uplinks'],
  ['uplinks/http', 'uplinks/mqtt', 'uplinks/sparkplug', 'uplinks/parquet', 'uplinks/nats', 'uplinks/postgres'],
  ['uplinks/influx'],
  ['outputs', 'notify'],
  ['outputs/modbus', 'outputs/mqtt', 'notify/webhook', 'notify/email'],
  ['learning'],
  ['plant'],
  ['web/access'],
  ['web'],
  ['http/models'],
  ['http', 'serving/v2'],
  ['serving/text', 'serving/grpc'],
  ['serving'],
  ['fleet'],
  ['fleet/box', 'fleet/service'],
  ['config/files'],
  ['config'],
  ['tag-import', 'config-editing'],
  ['app', 'offline', 'service'],
  ['gpu'],
  ['hosts'],
  ['cli/output'],
  ['cli/access'],
  ['cli/models', 'cli/demo', 'cli/setup', 'cli/opcua', 'cli/gpu', 'cli/fleet'],
  ['cli/training'],
  ['cli'],
];

/** Stages never import each other, on any floor: their interfaces are contracts. */
const stages: ReadonlySet<string> = new Set([
  'sources',
  'waveforms',
  'pipeline',
  'rollout',
  'training',
  'outbox',
  'uplinks',
  'outputs',
  'notify',
  'registry',
  'plant',
]);
/** The comparison of versions judges windows as the pipeline does, with its judge. */
const stageImports: ReadonlySet<string> = new Set(['rollout pipeline']);

const floorOf: ReadonlyMap<string, number> = new Map(
  floors.flatMap((folders, floor) => folders.map((folder) => [folder, floor] as const)),
);
const FOLDER_FILES_MAX = 25;
const CLASS_MEMBERS_MAX = 12;

/** Breaches that are still to be removed; a fixed one must leave this list. */
const remaining: ReadonlySet<string> = new Set();

type Breach = string;
type Rule = (path: string, text: string) => readonly Breach[];

const importsGoDownward: Rule = (path, text) => [
  ...(path.endsWith('.ts') ? relativeImports(path, text) : []).flatMap((target) => floorBreach(path, target)),
  ...(path.startsWith('domain/')
    ? imports(text)
        .filter((specifier) => !specifier.startsWith('.'))
        .map((specifier) => `${path} imports ${specifier}: domain imports neither npm packages nor node:`)
    : []),
];

function floorBreach(path: string, target: string): readonly Breach[] {
  const [from, to] = [dirname(path), dirname(target)];
  const [fromFloor, toFloor] = [floorOf.get(from), floorOf.get(to)];
  if (fromFloor === undefined || toFloor === undefined) return [`${path} imports ${target}: no such floor`];
  if (from === to) return [];
  const [fromStage, toStage] = [from.split('/')[0] ?? '', to.split('/')[0] ?? ''];
  if (
    fromStage !== toStage &&
    stages.has(fromStage) &&
    stages.has(toStage) &&
    !stageImports.has(`${fromStage} ${toStage}`)
  )
    return [`${path} imports ${target}: stages never import each other`];
  return toFloor < fromFloor || remaining.has(`${path} imports ${target}`)
    ? []
    : [`${path} (floor ${fromFloor}) imports ${target} (floor ${toFloor})`];
}

const classesAreSmall: Rule = (path, text) =>
  [...text.matchAll(/^export (?:abstract )?class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)].flatMap(([, name, body]) => {
    const members = new Set(
      [
        ...code(body ?? '').matchAll(
          /^ {2}(?!constructor\b|private\b)(?:(?:readonly|async|get|set|static|override|\*) ?)*(\w+|\[[\w.]+\])\s*[(<:=?!;]/gm,
        ),
      ].map((match) => match[1]),
    );
    return members.size <= CLASS_MEMBERS_MAX || remaining.has(`class ${name}`)
      ? []
      : [`${path}: class ${name} has ${members.size} public members`];
  });

const timeAndChanceComeFromDeps: Rule = (path, text) => {
  if (/^(platform|cli)\//.test(path)) return [];
  // The `setTimeout` of a socket or client is a limit of the connection, and no timer.
  const found =
    /(?<!\b(?:socket|client)\.)\b(Date\.now|Math\.random|setTimeout|setInterval|process\.env|console\.\w+)\b/.exec(
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
  /(^|\/)[a-z0-9-]+\.(tsx?|html|css|js)$/.test(path) &&
  !/(^|\/)(utils?|types?|helpers?|index|misc|common)\.ts$/.test(path)
    ? []
    : [`${path}: kebab-case, named for the one thing inside`];

const nothingIsLeftUndone: Rule = (path, text) =>
  /\b(TODO|FIXME|XXX|HACK)\b/.test(text) ? [`${path} has an unfinished mark`] : [];

const commentsLeaveIssuesOut: Rule = (path, text) =>
  /(\/\/|\*).*\b(issue|PR) ?#?\d+/i.test(text) ? [`${path} names an issue number in a comment`] : [];

/** Words that technical English has no use for. Identifiers and names of user-visible values are not text. */
const archaic =
  /\b(anew|afresh|whoever|whomever|nobody|somebody|mended|mends|mending|misfits?|in vain|wherever|whatever)\b/i;

const englishIsPlain: Rule = (path, text) => {
  const found = archaic.exec(text);
  return found === null ? [] : [`${path} has '${found[0]}': write plain technical English`];
};

const rules: readonly { readonly title: string; readonly rule: Rule; readonly canary: readonly [string, string] }[] = [
  {
    title: 'imports go downward only, and folders of one floor never import each other',
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
  {
    title: `a class has at most ${CLASS_MEMBERS_MAX} public members`,
    rule: classesAreSmall,
    canary: [
      'http/a.ts',
      `export class A {\n${Array.from({ length: 13 }, (_, i) => `  m${i}(): void {}`).join('\n')}\n}\n`,
    ],
  },
  { title: 'only the cli ends the process', rule: exitsOnlyInCli, canary: ['app/a.ts', 'process.exit(1);'] },
  {
    title: 'exports are named and there are no barrels',
    rule: namesAreExported,
    canary: ['http/a.ts', "export * from './b.ts';"],
  },
  { title: 'a file is named for what is inside', rule: fileNamesSayWhatIsInside, canary: ['http/utils.ts', ''] },
  { title: 'no unfinished marks', rule: nothingIsLeftUndone, canary: ['http/a.ts', '// TODO later'] },
  {
    title: 'comments and texts are plain technical English',
    rule: englishIsPlain,
    canary: ['http/a.ts', '// Whoever asks is told anew.'],
  },
  {
    title: 'comments do not refer to issues',
    rule: commentsLeaveIssuesOut,
    canary: ['http/a.ts', '// see issue #12'],
  },
];

/** Rules that also hold in the browser, which has no deps. */
const screenRules: ReadonlySet<Rule> = new Set([
  classesAreSmall,
  namesAreExported,
  fileNamesSayWhatIsInside,
  nothingIsLeftUndone,
  commentsLeaveIssuesOut,
  englishIsPlain,
]);

describe('the repository keeps its own rules', () => {
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(source, join(entry.parentPath, entry.name)));

  test.each(rules)('$title', ({ rule, canary }) => {
    expect(rule(...canary), 'the canary must be found').not.toEqual([]);
    expect(files.flatMap((path) => rule(path, readFileSync(join(source, path), 'utf8')))).toEqual([]);
  });

  test('the docs are plain technical English', () => {
    const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((page) =>
      page.endsWith('.md'),
    );
    const read = (page: string) =>
      readFileSync(join(root, 'docs', page), 'utf8').replace(/```[\s\S]*?```|`[^`]*`/g, '');
    expect(pages.flatMap((page) => englishIsPlain(page, read(page)))).toEqual([]);
  });

  test('no file imports itself through others', () => {
    expect(
      circles(
        new Map([
          ['a.ts', ['b.ts']],
          ['b.ts', ['a.ts']],
          ['c.ts', ['a.ts']],
        ]),
      ),
    ).toEqual([['a.ts', 'b.ts']]);
    const scripts = files.filter((path) => path.endsWith('.ts'));
    const targets = scripts.map((path) => relativeImports(path, readFileSync(join(source, path), 'utf8')));
    const found = circles(new Map(scripts.map((path, index) => [path, targets[index] ?? []])));
    expect(found.filter(([first]) => !remaining.has(`circle ${first}`))).toEqual([]);
  });

  test(`a folder has at most ${FOLDER_FILES_MAX} files, and every folder has its floor`, () => {
    const counts = Map.groupBy(files, (path) => dirname(path));
    expect([...counts].filter(([, { length }]) => length > FOLDER_FILES_MAX).map(([folder]) => folder)).toEqual([]);
    expect([...floorOf.keys()].filter((folder) => !counts.has(folder))).toEqual([]);
  });
});

/** Folders of the web application from the bottom to the top, as `floors`. '' is its entry. */
const screenFloors: readonly (readonly string[])[] = [
  ['texts', 'agent'],
  ['parts'],
  ['line', 'alarms', 'machine', 'trends', 'models', 'configuration', 'system', 'kiosk'],
  [''],
];

test('docs/architecture.md has a row for each folder of src', () => {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const table = text.slice(text.indexOf('## Folders'), text.indexOf('## The data path of a sample'));
  const rows = [...table.matchAll(/^\| (`[^|]+) \|/gm)].map((row) => row[1] ?? '');
  const named = rows.flatMap((row) => [...row.matchAll(/`([\w-]+)`/g)].flatMap((name) => name[1] ?? []));
  const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(new Set(named)).toEqual(new Set(folders.map(({ name }) => name)));
});

describe('the web application keeps the rules, too', () => {
  const folder = join(root, 'screen/src');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  const floorIndex = (path: string) => screenFloors.findIndex((floor) => floor.includes(path.split('/').at(-2) ?? ''));

  test('imports go downward only, and folders of one floor never import each other', () => {
    const found = files.flatMap((path) => {
      const text = readFileSync(join(folder, path), 'utf8');
      return imports(text)
        .filter((specifier) => specifier.startsWith('.') && !specifier.startsWith('../../../src/'))
        .map((specifier) => relative(folder, resolve(folder, dirname(path), specifier)))
        .filter((target) => dirname(path) !== dirname(target) && floorIndex(target) >= floorIndex(path))
        .map((target) => `${path} imports ${target}`);
    });
    expect(files.map(floorIndex)).not.toContain(-1);
    expect(found).toEqual([]);
  });

  test('the page imports types of the agent only', () => {
    const found = files.filter((path) =>
      /^import (?!type )[^;]*'[./]*\/src\//m.test(readFileSync(join(folder, path), 'utf8')),
    );
    expect(found).toEqual([]);
  });

  test.each(rules.filter(({ rule }) => screenRules.has(rule)))('$title', ({ rule }) => {
    const found = files.flatMap((path) => rule(path, readFileSync(join(folder, path), 'utf8')));
    expect(found).toEqual([]);
  });

  test(`a folder has at most ${FOLDER_FILES_MAX} files`, () => {
    const counts = Map.groupBy(files, (path) => dirname(path));
    expect([...counts.values()].filter(({ length }) => length > FOLDER_FILES_MAX)).toEqual([]);
  });
});

function relativeImports(path: string, text: string): readonly string[] {
  return imports(text)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(source, resolve(source, dirname(path), specifier)));
}

/** Groups of files that import each other, directly or through others. */
function circles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const reach = (start: string): ReadonlySet<string> => {
    const seen = new Set<string>();
    const open = [...(graph.get(start) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(graph.get(next) ?? []));
    }
    return seen;
  };
  const reached = new Map([...graph.keys()].map((file) => [file, reach(file)]));
  const inCircle = [...graph.keys()].filter((file) => reached.get(file)?.has(file) === true);
  const groups = inCircle.map((file) =>
    inCircle.filter(
      (other) => other === file || (reached.get(file)?.has(other) === true && reached.get(other)?.has(file) === true),
    ),
  );
  return [...new Map(groups.map((group) => [group.join(' '), group])).values()];
}

function imports(text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].flatMap((match) => match[1] ?? []);
}

/** The text without its comments. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}
