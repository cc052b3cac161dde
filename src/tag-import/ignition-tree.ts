import { isPlainObject } from '../platform/positioned-document.ts';
import type { LocatedJson } from './located-json.ts';

type Fields = Readonly<Record<string, unknown>>;
export type Parameters = ReadonlyMap<string, string>;

/** A tag of Ignition with its folders, its properties and the parameters of the UDT instances around it. */
export type IgnitionTag = {
  readonly path: readonly string[];
  readonly fields: Fields;
  readonly parameters: Parameters;
  readonly line: number;
};

/** A UDT instance whose definition is not in the file. */
export type MissingType = { readonly path: readonly string[]; readonly typeId: string; readonly line: number };

type TreeNode = { readonly fields: Fields; readonly line: number; readonly children: readonly TreeNode[] };

/** Definitions of types are in this folder. */
const TYPES = '_types_';

/** Returns the tags of an export, with UDT instances as the tags of their definitions. */
export function ignitionTags(json: LocatedJson): {
  readonly tags: readonly IgnitionTag[];
  readonly missing: readonly MissingType[];
} {
  const roots = Array.isArray(json.value) ? json.value : [json.value];
  const tree = new TagTree(roots.filter(isPlainObject).map((root) => nodeOf(root, json)));
  return tree.read();
}

function nodeOf(fields: Fields, json: LocatedJson): TreeNode {
  const below = Array.isArray(fields['tags']) ? fields['tags'].filter(isPlainObject) : [];
  return { fields, line: json.lineOf(fields), children: below.map((child) => nodeOf(child, json)) };
}

class TagTree {
  readonly #roots: readonly TreeNode[];
  readonly #types = new Map<string, TreeNode>();
  readonly #tags: IgnitionTag[] = [];
  readonly #missing: MissingType[] = [];

  constructor(roots: readonly TreeNode[]) {
    this.#roots = roots;
    for (const root of roots) this.#collectTypes(root, []);
  }

  read() {
    for (const root of this.#roots) this.#visit(root, [], new Map());
    return { tags: this.#tags, missing: this.#missing };
  }

  #collectTypes(node: TreeNode, path: readonly string[]): void {
    const name = nameOf(node);
    const here = name === '' || name === TYPES || node.fields['tagType'] === 'Provider' ? path : [...path, name];
    if (node.fields['tagType'] === 'UdtType') this.#types.set(here.join('/'), node);
    for (const child of node.children) this.#collectTypes(child, here);
  }

  #visit(node: TreeNode, path: readonly string[], parameters: Parameters): void {
    const { fields, line } = node;
    const name = nameOf(node);
    const kind = fields['tagType'];
    if (kind === 'UdtType' || name === TYPES) return;
    const here = name === '' || kind === 'Provider' ? path : [...path, name];
    if (kind === 'UdtInstance') {
      const typeId = textOf(fields['typeId']);
      const type = this.#typeOf(typeId);
      if (type === undefined) this.#missing.push({ path: here, typeId, line });
      const merged = type === undefined ? node : merge(type, node);
      const builtIn = [
        ['InstanceName', name],
        ['PathToParentFolder', path.join('/')],
      ] as const;
      const own = parametersOf(merged.fields['parameters'], parameters);
      const inner = new Map([...parameters, ...builtIn, ...own]);
      for (const child of merged.children) this.#visit(child, here, inner);
    } else if (node.children.length > 0 || kind === 'Folder' || kind === 'Provider') {
      for (const child of node.children) this.#visit(child, here, parameters);
    } else if (name !== '') {
      this.#tags.push({ path: here, fields, parameters: new Map([...parameters, ['TagName', name]]), line });
    }
  }

  /** Returns a type with the tags and parameters of the types that it extends. */
  #typeOf(typeId: string, depth = 0): TreeNode | undefined {
    const type = this.#types.get(typeId.replace(/^\[[^\]]*\]/, '').replace(/^_types_\//, ''));
    const parent = textOf(type?.fields['typeId']);
    if (type === undefined || parent === '' || depth > 20) return type;
    const base = this.#typeOf(parent, depth + 1);
    return base === undefined ? type : merge(base, type);
  }
}

/** Returns a node with the properties, parameters and tags of both; those of `over` win. */
function merge(base: TreeNode, over: TreeNode): TreeNode {
  const [from, to] = [base.fields['parameters'], over.fields['parameters']];
  const parameters = { ...(isPlainObject(from) ? from : {}), ...(isPlainObject(to) ? to : {}) };
  const overrides = new Map(over.children.map((child) => [nameOf(child), child]));
  const children = base.children.map((child) => {
    const override = overrides.get(nameOf(child));
    overrides.delete(nameOf(child));
    return override === undefined ? child : merge(child, override);
  });
  return {
    fields: { ...base.fields, ...over.fields, parameters },
    line: over.line,
    children: [...children, ...overrides.values()],
  };
}

function nameOf({ fields }: TreeNode): string {
  return textOf(fields['name']);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parametersOf(value: unknown, outer: Parameters): Parameters {
  const entries = isPlainObject(value) ? Object.entries(value) : [];
  return new Map(
    entries.flatMap(([name, parameter]) => {
      const text = boundText(isPlainObject(parameter) && 'value' in parameter ? parameter['value'] : parameter, outer);
      return text === undefined ? [] : [[name, text] as const];
    }),
  );
}

/**
 * Returns the text of a property, with `{Parameter}`, `{Parameter+5}` and `{Parameter|00}` replaced.
 * @returns Undefined if the property has none, or a parameter has no value.
 */
export function boundText(value: unknown, parameters: Parameters): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const isBound = isPlainObject(value) && typeof value['binding'] === 'string';
  const text = isBound ? value['binding'] : value;
  if (typeof text !== 'string') return undefined;
  const parts = text.split(/\{([^{}]+)\}/);
  const replaced = parts.map((part, index) => (index % 2 === 0 ? part : parameterValue(part, parameters)));
  return replaced.includes(undefined) ? undefined : replaced.join('');
}

function parameterValue(text: string, parameters: Parameters): string | undefined {
  const [expression = '', format] = text.split('|');
  const [, name = '', sign, amount] = /^\s*(.+?)\s*(?:([+\-*])\s*(\d+))?\s*$/.exec(expression) ?? [];
  const value = parameters.get(name);
  if (value === undefined || sign === undefined) return value === undefined ? undefined : padded(value, format);
  const [left, right] = [Number(value), Number(amount)];
  if (!Number.isFinite(left)) return undefined;
  const result = sign === '*' ? left * right : sign === '-' ? left - right : left + right;
  return padded(String(result), format);
}

function padded(text: string, format: string | undefined): string {
  return format === undefined ? text : text.padStart(format.trim().length, '0');
}
