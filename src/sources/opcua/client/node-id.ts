import { coerceNodeId, type NodeId } from 'node-opcua-client';
import { formatNodeAddress, parseNodeAddress } from '../node-address.ts';

/**
 * Returns the node of an address.
 *
 * @param uris Namespaces of the server at present.
 * @returns Why the server has no such node, as text.
 */
export function nodeIdOf(node: string, uris: readonly string[]): NodeId | string {
  const address = parseNodeAddress(node);
  if (address === undefined) return 'not an address';
  const { identifier, namespace } = address;
  const index = 'index' in namespace ? namespace.index : uris.indexOf(namespace.uri);
  if (index < 0) return `the server has no namespace with this URI; it has ${uris.slice(1).join(', ') || 'none'}`;
  try {
    return coerceNodeId(`ns=${index};${identifier}`);
  } catch {
    return 'the library does not accept this identifier';
  }
}

/** Returns the address of a node, with the URI of its namespace. */
export function addressOf(nodeId: NodeId, uris: readonly string[]): string {
  const identifier = nodeId.toString().replace(/^ns=\d+;/, '');
  return nodeId.namespace === 0 ? identifier : formatNodeAddress(identifier, uris[nodeId.namespace] ?? '');
}
