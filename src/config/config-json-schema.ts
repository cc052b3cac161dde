import * as z from 'zod';
import { byteSizePattern } from '../domain/byte-size.ts';
import { durationPattern } from '../domain/duration.ts';
import { type ConfigPath, isPlainObject, valueAt } from '../platform/positioned-document.ts';
import { configSchema } from './config-schema.ts';

/** Part of JSON Schema 2020-12 that the configuration uses. */
export type SchemaNode = {
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode | boolean;
  readonly prefixItems?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
};

let created: SchemaNode | undefined;

/**
 * Returns the JSON Schema of the file: durations and sizes as text, defaults in the same notation. It takes a tenth of
 * `andon check` to create, so a file without mistakes is checked without it.
 */
export function configJsonSchema(): SchemaNode {
  return (created ??= createSchema());
}

function createSchema(): SchemaNode {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: 'any',
  });
  // zod returns a JSON Schema document; its type is wider than the part used here.
  return { title: 'andon configuration', ...(schema as SchemaNode) };
}

/** Kind of a field, beyond the types of JSON Schema. */
export type FieldKind = 'duration' | 'size' | 'secret' | 'other';

export function fieldKind(node: SchemaNode): FieldKind {
  if (node.pattern === durationPattern.source) return 'duration';
  if (node.pattern === byteSizePattern.source) return 'size';
  return branches(node).length === 2 && mayHoldSecret(node) ? 'secret' : 'other';
}

/** Returns true if a value may be a secret. A header, for instance, is a text or a reference. */
export function mayHoldSecret(node: SchemaNode): boolean {
  const keys = branches(node).flatMap(({ properties }) => Object.keys(properties ?? {}));
  return keys.length === 2 && keys.includes('env') && keys.includes('file');
}

/** Returns the branches of a union. A node that is not a union is its own only branch. */
export function branches(node: SchemaNode): readonly SchemaNode[] {
  const alternatives = node.oneOf ?? node.anyOf;
  return alternatives === undefined ? [node] : alternatives.flatMap(branches);
}

/**
 * Returns the schema of the value at a path. If kinds differ by `type`, the `type` in the file selects the kind;
 * undefined if it selects none.
 */
export function schemaAt(root: SchemaNode, path: ConfigPath, file: unknown): SchemaNode | undefined {
  let here: SchemaNode | undefined = root;
  for (const [depth, step] of path.entries()) {
    if (here === undefined) return undefined;
    here = below(chosenBranches(here, valueAt(file, path.slice(0, depth))), step);
  }
  return here;
}

/** Returns the branches of a node that match a value: those of its `type`, or all. */
export function chosenBranches(node: SchemaNode, value: unknown): readonly SchemaNode[] {
  const all = branches(node);
  if (!isPlainObject(value)) return all;
  const kinds = all.filter(({ properties }) => properties?.['type']?.const !== undefined);
  if (kinds.length === 0) return all;
  return kinds.filter(({ properties }) => properties?.['type']?.const === value['type']);
}

function below(candidates: readonly SchemaNode[], step: string | number): SchemaNode | undefined {
  for (const { properties, additionalProperties, items, prefixItems } of candidates) {
    if (typeof step === 'number') {
      const item = prefixItems?.[step] ?? items;
      if (typeof item === 'object') return item;
      continue;
    }
    const property = properties !== undefined && Object.hasOwn(properties, step) ? properties[step] : undefined;
    const node = property ?? additionalProperties;
    if (typeof node === 'object') return node;
  }
  return undefined;
}

/** A key of the configuration and its location, such as `sources.<id>.scanInterval`. */
export type KeyLocation = {
  readonly key: string;
  readonly location: string;
  readonly node: SchemaNode;
};

/** Returns every key of the schema, from the top down. */
export function keyLocations(node: SchemaNode, location = ''): readonly KeyLocation[] {
  return branches(node).flatMap((branch) => {
    const own = Object.entries(branch.properties ?? {}).flatMap(([key, child]) => {
      const childLocation = location === '' ? key : `${location}.${key}`;
      return [[{ key, location: childLocation, node: child }], keyLocations(child, childLocation)].flat();
    });
    const { additionalProperties, items } = branch;
    const entries =
      typeof additionalProperties === 'object'
        ? keyLocations(
            additionalProperties,
            `${location}.<${location === 'limits' ? 'tag' : entryName(location.split('.').at(-1) ?? location)}>`,
          )
        : [];
    return [own, entries, typeof items === 'object' ? keyLocations(items, `${location}[]`) : []].flat();
  });
}

const ENTRY_NAMES: Readonly<Record<string, string>> = {
  tags: 'tag',
  patterns: 'pattern',
  headers: 'name',
  limits: 'model',
  hosts: 'host',
};

/** Name of the entries of a map, such as 'tag' for `tags`. */
export function entryName(key: string): string {
  return ENTRY_NAMES[key] ?? 'id';
}
