import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { isPlainObject } from '../src/platform/positioned-document.ts';
import { loadConfig } from '../src/config/config-file.ts';
import { configSchema } from '../src/config/config-schema.ts';

/*
 * The documentation is checked like code: links lead somewhere, and configurations are accepted by `andon check`.
 */
const root = resolve(import.meta.dirname, '..');
const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((path) => existsSync(join(root, path)));

type CodeBlock = { readonly language: string; readonly line: number; readonly text: string };

/** Returns the fenced code blocks of a document. */
function codeBlocks(markdown: string): readonly CodeBlock[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    line: markdown.slice(0, match.index).split('\n').length,
    text: match[2] ?? '',
  }));
}

function prose(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** Returns the anchors that GitHub gives to the headings of a document. */
function anchors(markdown: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [, heading = ''] of prose(markdown).matchAll(/^#+ (.+)$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-');
    let unique = anchor;
    for (let count = 1; found.has(unique); count += 1) unique = `${anchor}-${count}`;
    found.add(unique);
  }
  return found;
}

/** Returns the relative links of a document that lead nowhere. */
function brokenLinks(path: string, markdown: string): readonly string[] {
  const targets = [
    ...prose(markdown)
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, target = '']) => target);
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false;
    const [file = '', anchor] = target.split('#');
    const linked = resolve(root, dirname(path), file);
    if (file !== '' && !existsSync(linked)) return true;
    return anchor !== undefined && !anchors(file === '' ? markdown : readFileSync(linked, 'utf8')).has(anchor);
  });
}

function yamlBlocks(path: string): readonly CodeBlock[] {
  return codeBlocks(readFileSync(join(root, path), 'utf8')).filter(({ language }) => language === 'yaml');
}

/** Keys in the first column of a YAML text. */
function topLevelKeys(yaml: string): readonly string[] {
  return [...yaml.matchAll(/^([A-Za-z]\w*):/gm)].map(([, key = '']) => key);
}

const isWhole = ({ text }: CodeBlock): boolean => topLevelKeys(text)[0] === 'agent';
const isPart = ({ text }: CodeBlock): boolean => {
  const keys = topLevelKeys(text);
  return keys.length > 0 && keys[0] !== 'agent' && keys.every((key) => key in configSchema.shape);
};

type Schema = {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
};
const jsonSchema = JSON.parse(readFileSync(join(root, 'docs/andon.schema.json'), 'utf8')) as Schema & {
  readonly $defs?: Readonly<Record<string, Schema>>;
};

/** Whether a configuration may have a key; `<id>` stands for any key of a map. */
function hasKey(schema: Schema | undefined, path: readonly string[]): boolean {
  const [key, ...rest] = path;
  if (schema === undefined || key === undefined) return schema !== undefined;
  if (schema.$ref !== undefined) return hasKey(jsonSchema.$defs?.[schema.$ref.split('/').at(-1) ?? ''], path);
  if ([...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].some((each) => hasKey(each, path))) return true;
  const named = schema.properties?.[key];
  if (named !== undefined) return hasKey(named, rest);
  return typeof schema.additionalProperties === 'object' && hasKey(schema.additionalProperties, rest);
}

/** Keys of model.yaml with the name of a section of the configuration. */
const inManifest: ReadonlySet<string> = new Set(['serving.deadline']);

/** Returns the keys such as `models.limits.<name>.host` that a document names and no configuration has. */
function unknownKeys(markdown: string): readonly string[] {
  return [...markdown.matchAll(/`(\w+)((?:\.[\w<>]+)+)`/g)]
    .filter(
      ([, section = '', rest = '']) =>
        section in configSchema.shape && !/^\.db\b|\.jsonl$/.test(rest) && !inManifest.has(`${section}${rest}`),
    )
    .map(([, section = '', rest = '']) => `${section}${rest}`)
    .filter((key) => !hasKey(jsonSchema, key.split('.')));
}

const located = (wanted: (block: CodeBlock) => boolean) =>
  documents.flatMap((path) =>
    yamlBlocks(path)
      .filter(wanted)
      .map((block) => ({ name: `${path}:${block.line}`, text: block.text })),
  );

describe('links between documents', () => {
  test.each(documents)('of %s lead to a file and a heading that exist', (path) => {
    expect(brokenLinks(path, readFileSync(join(root, path), 'utf8'))).toEqual([]);
  });

  test('a link to a missing file or heading is found', () => {
    const text =
      '# Heading one\n[a](missing.md) [b](README.md#no-such) [c](#heading-two) [d](#heading-one) [e](README.md)';
    expect(brokenLinks('page.md', text)).toEqual(['missing.md', 'README.md#no-such', '#heading-two']);
  });

  test('every page of docs is linked from the README', () => {
    const linked = new Set(
      [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/\]\((docs\/[\w.-]+\.md)/g)].map(([, path]) => path),
    );
    const pages = documents.filter((path) => dirname(path) === 'docs');
    expect(pages.filter((path) => !linked.has(path))).toEqual([]);
  });
});

describe('metrics in documents', () => {
  const known = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
  const unknown = (markdown: string) =>
    [...markdown.matchAll(/\bandon_[a-z_]+[a-z]\b/g)]
      .map(([name]) => name)
      .filter((name) => !known.includes(`\`${name}\``));

  test.each(documents)('of %s exist', (path) => {
    expect(unknown(readFileSync(join(root, path), 'utf8'))).toEqual([]);
  });

  test('a metric that does not exist is found', () => {
    expect(unknown('`andon_component_ok` and andon_component_okay')).toEqual(['andon_component_okay']);
  });
});

describe('configurations in documents', () => {
  test.each(located(isWhole))('$name passes andon check with the bundled models, and without any', async ({ text }) => {
    const folder = mkdtempSync(join(tmpdir(), 'andon-docs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'andon.yaml');
    writeFileSync(file, text);
    await loadConfig(file);
    symlinkSync(join(root, 'models'), join(folder, 'models'));
    const { warnings } = await loadConfig(file);
    expect(warnings).toEqual([]);
  });

  test.each(located(isPart))('$name has only keys and values that the schema knows', ({ text }) => {
    const data: unknown = parse(text, (key, value: unknown) =>
      ['tags', 'outputs'].includes(String(key)) ? withoutFile(value) : value,
    );
    expect(configSchema.partial({ agent: true }).safeParse(data).error?.issues ?? []).toEqual([]);
  });

  // Its keys are relative to their section, and it is generated from the schema.
  test.each(documents.filter((path) => path !== 'docs/configuration.md'))('keys named in %s exist', (path) => {
    expect(unknownKeys(readFileSync(join(root, path), 'utf8'))).toEqual([]);
  });

  test('a key that no configuration has is found', () => {
    const text =
      '`models.limits.<name>.host` `models.limits.<name>.hots` `http.port` `outbox.db` `sources.<id>.unitId`';
    expect(unknownKeys(text)).toEqual(['models.limits.<name>.hots', 'http.port']);
  });

  test('whole configurations and parts are found', () => {
    expect(located(isWhole).length).toBeGreaterThan(0);
    expect(located(isPart).length).toBeGreaterThan(5);
  });
});

/** Files of tags and outputs are read before the schema checks their content. */
function withoutFile(tags: unknown): unknown {
  if (!isPlainObject(tags) || typeof tags['file'] !== 'string') return tags;
  const { file: _file, ...inline } = tags;
  return inline;
}
