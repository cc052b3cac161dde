import { parse } from 'yaml';
import { type ConfigPath, isPlainObject } from '../src/platform/positioned-document.ts';
import { expectedOf } from '../src/config/config-expectations.ts';
import { branches, configJsonSchema, entryName, fieldKind, type SchemaNode } from '../src/config/config-json-schema.ts';

/*
 * Writes docs/configuration.md from the schema that checks the file, with examples from config/andon.yaml.
 */

const INTRODUCTION = `# Configuration

One YAML 1.2 file, by default \`/etc/andon/andon.yaml\`; an annotated one is [config/andon.yaml](../config/andon.yaml).
\`andon check FILE\` shows every problem at once, with line and suggestion: an unknown key is an error, never ignored.
For completion in an editor, \`andon schema\` prints the JSON Schema ([andon.schema.json](andon.schema.json)); with the
YAML language server, put \`# yaml-language-server: $schema=…/andon.schema.json\` in the first line.

- **Durations** have a unit: \`100ms\`, \`5s\`, \`10m\`, \`12h\`, \`7d\`. **Sizes**, too: \`64kB\`, \`512MB\`, \`2GB\` (powers of ten).
- **Secrets** are references, never values: \`{ env: NAME }\` or \`{ file: PATH }\`.
- **Relative paths** start at the folder of the configuration file.
- **Names** (ids and tags) become levels of MQTT topics: no \`+\`, \`#\`, \`/\` and control characters.
- **Anchors, aliases and merge keys** (\`<<: *defaults\`) work. Maps are keyed by id; their order is kept.
`;

/** Returns the example file with its commented-out keys active: `# uplinks:` becomes `uplinks:`. */
export function withCommentedKeys(example: string): string {
  return example.replaceAll(/^( *)# ( *[a-z][A-Za-z0-9-]*:.*)$/gm, '$1$2');
}

/** @param example Text of config/andon.yaml. */
export function configurationDocs(example: string): string {
  const schema = configJsonSchema();
  const examples: unknown = parse(withCommentedKeys(example));
  const required = new Set(schema.required);
  const sections = Object.entries(schema.properties ?? {}).map(([name, node]) => {
    const head = `## ${name}\n\n${sentence(node.description ?? '')}${required.has(name) ? ' Required.' : ''}`;
    return `${head}\n\n${sectionTables([name], node, examples)}`;
  });
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n`;
}

function sectionTables(path: ConfigPath, node: SchemaNode, examples: unknown): string {
  const { additionalProperties } = node;
  if (node.properties === undefined && typeof additionalProperties === 'object')
    return kindTables([...path, '<id>'], additionalProperties, examples);
  return keyTable(path, node, examples);
}

function kindTables(path: ConfigPath, node: SchemaNode, examples: unknown): string {
  const kinds = branches(node);
  if (kinds.length === 1 && kinds[0] !== undefined) return keyTable(path, kinds[0], examples);
  const tables = kinds.map((kind) => {
    const type = String(kind.properties?.['type']?.const);
    return `### ${code(path.join('.'))} of type ${code(type)}\n\n${keyTable(path, kind, examples, type)}`;
  });
  return tables.join('\n\n');
}

function keyTable(path: ConfigPath, node: SchemaNode, examples: unknown, type?: string): string {
  const rows = keyRows(path, node, { root: examples, type });
  return ['| key | takes | default | example | meaning |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

/** The source of examples, and the kind that they are for. */
type Examples = { readonly root: unknown; readonly type: string | undefined };

function keyRows(path: ConfigPath, node: SchemaNode, examples: Examples): readonly string[] {
  const required = new Set(node.required);
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const childPath = [...path, key];
    const nested = nestedMaps(key, child);
    const row = [
      code(childPath.slice(1).join('.')),
      nested.length === 0 ? takes(child) : 'a map',
      required.has(key) ? 'required' : defaultText(child),
      nested.length === 0 ? exampleText(childPath, child, examples) : '',
      meaning(key, child),
    ];
    const below = nested.flatMap(({ node: map, step }) => keyRows([...childPath, ...step], map, examples));
    return [`| ${row.map(cell).join(' | ')} |`, ...below];
  });
}

/** Maps whose keys get rows of their own: fixed keys, and the keys of each entry. */
function nestedMaps(
  key: string,
  node: SchemaNode,
): readonly { readonly node: SchemaNode; readonly step: ConfigPath }[] {
  if (fieldKind(node) === 'secret') return [];
  const { properties, additionalProperties } = node;
  const hasEntries = typeof additionalProperties === 'object' && additionalProperties.properties !== undefined;
  return [
    ...(properties === undefined ? [] : [{ node, step: [] }]),
    ...(hasEntries ? [{ node: additionalProperties, step: [`<${entryName(key)}>`] }] : []),
  ];
}

function meaning(key: string, node: SchemaNode): string {
  const isKind = key === 'type' && node.const !== undefined;
  return sentence(node.description ?? (isKind ? 'Chooses the kind; the other keys here are its own' : ''));
}

function takes(node: SchemaNode): string {
  if (node.const !== undefined) return code(yamlText(node.const));
  const kind = fieldKind(node);
  if (kind === 'duration') return 'a duration';
  if (kind === 'size') return 'a size';
  if (kind === 'secret') return 'a secret reference';
  const all = branches(node);
  if (all.length > 1 && all.some((branch) => fieldKind(branch) === 'duration')) return all.map(takes).join(' or ');
  return expectedOf(node);
}

function defaultText(node: SchemaNode): string {
  const isEmptyMap = isPlainObject(node.default) && Object.keys(node.default).length === 0;
  return node.default === undefined || isEmptyMap ? '' : code(yamlText(node.default));
}

function exampleText(path: ConfigPath, node: SchemaNode, examples: Examples): string {
  const found = node.examples?.[0] ?? firstAt(examples.root, path, examples.type);
  return found === undefined || isPlainObject(found) ? '' : code(yamlText(found));
}

/** Returns the first value in the example file at a path such as `sources.<id>.tags.<tag>.scale`. */
function firstAt(here: unknown, path: ConfigPath, type: string | undefined): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return here;
  if (!isPlainObject(here)) return undefined;
  if (typeof step === 'string' && !step.startsWith('<')) return firstAt(here[step], rest, type);
  const entries = Object.values(here).filter((entry) => {
    const entryType = isPlainObject(entry) ? entry['type'] : undefined;
    return step !== '<id>' || type === undefined || entryType === type;
  });
  return entries.map((entry) => firstAt(entry, rest, type)).find((value) => value !== undefined);
}

/** Returns a value in one line, as it is written in the file. */
function yamlText(value: unknown): string {
  if (typeof value === 'string') return value === '' ? "''" : value;
  if (Array.isArray(value)) return `[${value.map(yamlText).join(', ')}]`;
  if (!isPlainObject(value)) return String(value);
  const entries = Object.entries(value).map(([key, item]) => `${key}: ${yamlText(item)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}

/** Returns a description as a sentence; `<id>` must not become HTML. */
function sentence(text: string): string {
  const plain = text.replaceAll('<', String.raw`\<`);
  return plain === '' || /[.!?]$/.test(plain) ? plain : `${plain}.`;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Escapes text for a cell of a Markdown table. */
export function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');
}
