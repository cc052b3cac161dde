import { AttributeIds, type ClientSession, NodeClass, type NodeId, type Variant } from 'node-opcua-client';
import type { NodeListing, NodeReading } from '../../../contracts/source.ts';
import { parseValuePath } from '../value-path.ts';
import { elementPaths } from './element-paths.ts';
import {
  below,
  describe,
  type FoundVariable,
  isListed,
  NODES_PER_REQUEST,
  noteProperty,
  OBJECTS,
} from './node-browser.ts';
import { addressOf, nodeIdOf } from './node-id.ts';
import { variantNumber } from './variant-number.ts';

/** Children of a listing. Their values are read, too. */
const CHILDREN_MAX = 1000;

type Node = { readonly nodeId: NodeId; readonly name: string; readonly isVariable: boolean };

/**
 * Reads a node with its value, and the objects and variables below it except properties and those of the server itself.
 *
 * @param address Undefined for the Objects folder.
 * @throws {Error} If the server has no such node.
 */
export async function listNode(session: ClientSession, address = OBJECTS): Promise<NodeListing> {
  const uris = await session.readNamespaceArray();
  const nodeId = nodeIdOf(address, uris);
  if (typeof nodeId === 'string') throw new Error(`${address}: ${nodeId}`);
  const attributes = [AttributeIds.NodeClass, AttributeIds.BrowseName, AttributeIds.Value];
  const [nodeClass, browseName, value] = await session.read(attributes.map((attributeId) => ({ nodeId, attributeId })));
  if (nodeClass?.statusCode.isGood() !== true)
    throw new Error(`${address}: the server refuses the node: ${nodeClass?.statusCode.name}`);
  const { name } = (browseName?.value.value ?? {}) as { readonly name?: string | null };
  const isVariable = NodeClass[Number(nodeClass.value.value)] === 'Variable';
  const [references = []] = await below(session, [nodeId]);
  const nodes = references.filter(isListed).map((each): Node => ({
    nodeId: each.nodeId,
    name: each.browseName.name ?? '',
    isVariable: NodeClass[each.nodeClass] === 'Variable',
  }));
  const wanted = [{ nodeId, name: name ?? '', isVariable }, ...nodes.slice(0, CHILDREN_MAX)];
  const found: NodeReading[] = [];
  for (let from = 0; from < wanted.length; from += NODES_PER_REQUEST)
    found.push(...(await readings(session, wanted.slice(from, from + NODES_PER_REQUEST), uris)));
  const [node, ...children] = found;
  if (node === undefined) throw new Error(`${address}: no answer`);
  return {
    node,
    values: isVariable && value !== undefined ? numbersOf(value.value) : [],
    children,
    isComplete: nodes.length <= CHILDREN_MAX,
  };
}

async function readings(
  session: ClientSession,
  nodes: readonly Node[],
  uris: readonly string[],
): Promise<readonly NodeReading[]> {
  const variables: FoundVariable[] = nodes
    .filter(({ isVariable }) => isVariable)
    .map(({ nodeId, name }) => ({ nodeId, name }));
  const references = await below(
    session,
    variables.map(({ nodeId }) => nodeId),
  );
  for (const [index, variable] of variables.entries())
    for (const reference of references[index] ?? []) noteProperty(variable, reference);
  const described = await describe(session, variables, uris);
  const byNode = new Map(
    described.map(({ name, node, type, value, status, unit, range }, index) => [
      node,
      {
        name,
        node,
        type,
        value,
        status,
        unit,
        range,
        isVariable: true,
        hasChildren: references[index]?.some(isListed) === true,
      },
    ]),
  );
  return nodes.map(({ nodeId, name }) => {
    const node = addressOf(nodeId, uris);
    return byNode.get(node) ?? objectReading(name, node);
  });
}

/** An object is not asked for its children: a folder may have 10,000. */
function objectReading(name: string, node: string): NodeReading {
  const nothing = { type: '', value: '', status: '', unit: undefined, range: undefined };
  return { name, node, isVariable: false, hasChildren: true, ...nothing };
}

function numbersOf(variant: Variant): NodeListing['values'] {
  return elementPaths(variant).flatMap((path) => {
    const found = variantNumber(variant, path === undefined ? undefined : parseValuePath(path), undefined);
    return found.value === undefined ? [] : [{ path, value: found.value }];
  });
}
