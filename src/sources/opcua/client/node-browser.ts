import {
  AttributeIds,
  BrowseDirection,
  browseAll,
  type ClientSession,
  coerceNodeId,
  DataType,
  type DataValue,
  NodeClass,
  type NodeId,
  type ReferenceDescription,
  type Variant,
} from 'node-opcua-client';
import { elementPaths } from './element-paths.ts';
import { addressOf } from './node-id.ts';
import { variantNumber } from './variant-number.ts';

/** Objects folder: all nodes of a plant are below it. */
export const OBJECTS = 'i=85';
const HIERARCHICAL = 'i=33';
const PROPERTY = 'ns=0;i=46';
export const NODES_PER_REQUEST = 100;
const ENGINEERING_UNITS = 'EngineeringUnits';
const RANGE = 'EURange';
const SHOWN_MAX = 60;

/** A variable of a server, with its value when it was browsed. */
export type BrowsedVariable = {
  /** Browse names from the Objects folder, joined by '.'. */
  readonly name: string;
  readonly node: string;
  readonly type: string;
  readonly value: string;
  readonly status: string;
  readonly unit: string | undefined;
  readonly range: readonly [number, number] | undefined;
  /** Parts that are numbers; undefined stands for the whole value. */
  readonly paths: readonly (string | undefined)[];
};

/** A variable, with the properties that have its unit and range. */
export type FoundVariable = {
  readonly name: string;
  readonly nodeId: NodeId;
  unit?: NodeId;
  range?: NodeId;
};

/**
 * Lists the variables below the Objects folder, except those of the server itself (namespace 0), by name.
 *
 * @param max Largest number of variables.
 */
export async function browseVariables(session: ClientSession, max: number): Promise<readonly BrowsedVariable[]> {
  const uris = await session.readNamespaceArray();
  const variables = await walk(session, max);
  const result: BrowsedVariable[] = [];
  for (let from = 0; from < variables.length; from += NODES_PER_REQUEST)
    result.push(...(await describe(session, variables.slice(from, from + NODES_PER_REQUEST), uris)));
  return result.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

type Level = {
  readonly nodeId: NodeId;
  readonly path: readonly string[];
  readonly variable: FoundVariable | undefined;
};

async function walk(session: ClientSession, max: number): Promise<readonly FoundVariable[]> {
  const found: FoundVariable[] = [];
  const seen = new Set<string>();
  let level: readonly Level[] = [{ nodeId: coerceNodeId(OBJECTS), path: [], variable: undefined }];
  while (level.length > 0 && found.length < max) {
    const next: Level[] = [];
    for (let from = 0; from < level.length; from += NODES_PER_REQUEST) {
      const nodes = level.slice(from, from + NODES_PER_REQUEST);
      const results = await below(
        session,
        nodes.map(({ nodeId }) => nodeId),
      );
      for (const [index, parent] of nodes.entries())
        for (const reference of results[index] ?? []) {
          const child = take(parent, reference, seen);
          if (child === undefined) continue;
          if (child.variable !== undefined && found.length < max) found.push(child.variable);
          next.push(child);
        }
    }
    level = next;
  }
  return found;
}

/** Returns what to look at further; undefined for properties, for nodes of the server itself, and for the second time. */
function take(parent: Level, reference: ReferenceDescription, seen: Set<string>): Level | undefined {
  const { nodeId, nodeClass } = reference;
  const name = reference.browseName.name ?? '';
  if (parent.variable !== undefined) noteProperty(parent.variable, reference);
  if (!isListed(reference) || seen.has(nodeId.toString())) return undefined;
  seen.add(nodeId.toString());
  const path = [...parent.path, name];
  const variable = NodeClass[nodeClass] === 'Variable' ? { name: path.join('.'), nodeId } : undefined;
  return { nodeId, path, variable };
}

/** Keeps the unit and range of a variable, which are properties of it. */
export function noteProperty(variable: FoundVariable, { browseName, nodeId }: ReferenceDescription): void {
  if (browseName.name === ENGINEERING_UNITS) variable.unit = nodeId;
  if (browseName.name === RANGE) variable.range = nodeId;
}

/** False for properties and nodes of the server itself. */
export function isListed({ nodeId, referenceTypeId }: ReferenceDescription): boolean {
  return nodeId.namespace !== 0 && referenceTypeId.toString() !== PROPERTY;
}

/** Returns the objects and variables below each node. */
export async function below(
  session: ClientSession,
  nodes: readonly NodeId[],
): Promise<readonly (readonly ReferenceDescription[])[]> {
  const results = await browseAll(session, nodes.map(description));
  return results.map(({ references }) => references ?? []);
}

function description(nodeId: NodeId) {
  return {
    nodeId,
    browseDirection: BrowseDirection.Forward,
    referenceTypeId: coerceNodeId(HIERARCHICAL),
    includeSubtypes: true,
    // Objects and variables.
    nodeClassMask: 3,
    resultMask: 63,
  };
}

/** Reads values, units and ranges. */
export async function describe(
  session: ClientSession,
  variables: readonly FoundVariable[],
  uris: readonly string[],
): Promise<readonly BrowsedVariable[]> {
  const values = await read(
    session,
    variables.map(({ nodeId }) => nodeId),
  );
  const units = await readOf(session, variables, 'unit');
  const ranges = await readOf(session, variables, 'range');
  return variables.map((variable, index) => {
    const { nodeId, name } = variable;
    const dataValue = values[index];
    return {
      name,
      node: addressOf(nodeId, uris),
      type: typeText(dataValue?.value),
      value: valueText(dataValue?.value),
      status: dataValue?.statusCode.name ?? '',
      unit: textOf(units.get(variable)),
      range: rangeOf(ranges.get(variable)),
      paths: dataValue === undefined ? [] : elementPaths(dataValue.value),
    };
  });
}

function read(session: ClientSession, nodes: readonly NodeId[]): Promise<readonly DataValue[]> {
  return session.read(nodes.map((nodeId) => ({ nodeId, attributeId: AttributeIds.Value })));
}

async function readOf(
  session: ClientSession,
  variables: readonly FoundVariable[],
  property: 'unit' | 'range',
): Promise<ReadonlyMap<FoundVariable, unknown>> {
  const having = variables.flatMap((variable) => {
    const nodeId = variable[property];
    return nodeId === undefined ? [] : [{ variable, nodeId }];
  });
  if (having.length === 0) return new Map();
  const values = await read(
    session,
    having.map(({ nodeId }) => nodeId),
  );
  return new Map(having.map(({ variable }, index) => [variable, values[index]?.value.value as unknown]));
}

/** @see OPC UA Part 8, section 5.6.3: EUInformation. */
function textOf(unit: unknown): string | undefined {
  const { displayName } = (unit ?? {}) as { readonly displayName?: { readonly text?: string | null } };
  return displayName?.text ?? undefined;
}

function rangeOf(range: unknown): readonly [number, number] | undefined {
  const { low, high } = (range ?? {}) as { readonly low?: number; readonly high?: number };
  return low !== undefined && high !== undefined && low < high ? [low, high] : undefined;
}

function typeText(variant: Variant | undefined): string {
  if (variant === undefined) return '';
  const name = DataType[variant.dataType] ?? '';
  const { dimensions, value } = variant as { dimensions: readonly number[] | null; value: unknown };
  const isList = ArrayBuffer.isView(value) || (Array.isArray(value) && !/^U?Int64$/.test(name));
  const lengths = (dimensions?.length ?? 0) > 0 ? dimensions : [isList ? (value as ArrayLike<unknown>).length : 0];
  return isList ? `${name}[${lengths?.join(',')}]` : name;
}

function valueText(variant: Variant | undefined): string {
  if (variant === undefined || variant.value === null) return '';
  const number = variantNumber(variant, undefined, undefined);
  if (number.value !== undefined)
    return variant.value instanceof Date ? variant.value.toISOString() : String(number.value);
  if (typeof variant.value === 'string') return variant.value.slice(0, SHOWN_MAX);
  const list: unknown = ArrayBuffer.isView(variant.value)
    ? Array.from(variant.value as unknown as ArrayLike<number>)
    : variant.value;
  return (JSON.stringify(list) ?? '').slice(0, SHOWN_MAX);
}
