import type { YamlPlace } from './yaml-place.ts';

/** Part of JSON Schema that completion uses. */
export type SchemaNode = {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode | boolean;
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
};

export type Proposal = {
  readonly label: string;
  readonly detail: string;
  readonly info: string;
  readonly isKey: boolean;
};

/**
 * Returns what may stand at a place. If kinds differ by `type`, those of the `type` in the file are offered.
 *
 * @param typeAt Returns the `type` that the file has at a path; undefined if it has none.
 */
export function proposals(
  schema: SchemaNode,
  { path, kind }: YamlPlace,
  typeAt: (path: readonly string[]) => string | undefined,
): readonly Proposal[] {
  let nodes: readonly SchemaNode[] = [schema];
  for (const [depth, step] of path.entries())
    nodes = nodes.flatMap((node) => chosen(node, typeAt(path.slice(0, depth)))).flatMap((node) => below(node, step));
  const found = nodes.flatMap((node) => chosen(node, typeAt(path)));
  const all = kind === 'key' ? found.flatMap(keysOf) : found.flatMap(valuesOf);
  return [...new Map(all.map((each) => [each.label, each])).values()];
}

/** Returns the branches of a union, each with the description of the union if it has none; another node alone. */
export function branches(node: SchemaNode): readonly SchemaNode[] {
  const alternatives = node.oneOf ?? node.anyOf;
  // A union has the descriptions of its branches.
  return alternatives === undefined
    ? [node]
    : alternatives
        .flatMap(branches)
        .map((each): SchemaNode =>
          each.description === undefined && node.description !== undefined
            ? { ...each, description: node.description }
            : each,
        );
}

function chosen(node: SchemaNode, type: string | undefined): readonly SchemaNode[] {
  const all = branches(node);
  const ofType = all.filter(({ properties }) => properties?.['type']?.const === type);
  return type !== undefined && ofType.length > 0 ? ofType : all;
}

function below({ properties, additionalProperties, items }: SchemaNode, step: string): readonly SchemaNode[] {
  const own = properties !== undefined && Object.hasOwn(properties, step) ? properties[step] : undefined;
  const node = own ?? additionalProperties ?? items;
  return typeof node === 'object' ? [node] : [];
}

function keysOf({ properties = {}, required = [] }: SchemaNode): readonly Proposal[] {
  return Object.entries(properties).map(([label, node]) => ({
    label,
    detail: required.includes(label) ? '*' : node.default === undefined ? '' : JSON.stringify(node.default),
    info: node.description ?? branches(node)[0]?.description ?? '',
    isKey: true,
  }));
}

function valuesOf(node: SchemaNode): readonly Proposal[] {
  const constant = node.const === undefined ? [] : [node.const];
  const booleans = node.type === 'boolean' ? [true, false] : [];
  const values = [...constant, ...(node.enum ?? []), ...booleans, ...(node.examples ?? [])];
  return values
    .filter((value) => typeof value !== 'object')
    .map((value) => ({ label: String(value), detail: '', info: node.description ?? '', isKey: false }));
}
