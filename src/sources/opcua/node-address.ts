/** Address of a node: the identifier and its namespace, by URI, or by index as the server numbers it at present. */
export type NodeAddress = {
  /** Identifier with its type: `s=Line.Temp`, `i=2258`. */
  readonly identifier: string;
  readonly namespace: { readonly uri: string } | { readonly index: number };
};

const GUID = '[\\da-fA-F]{8}(?:-[\\da-fA-F]{4}){3}-[\\da-fA-F]{12}';
const ADDRESS = new RegExp(
  `^(?:nsu=(?<uri>[^;]+);|ns=(?<index>\\d{1,5});)?(?<identifier>i=\\d{1,10}|s=.+|g=${GUID}|b=[A-Za-z\\d+/]+={0,2})$`,
  's',
);
const INDEX_MAX = 65_535;
const NUMERIC_MAX = 4_294_967_295;

/**
 * Parses `nsu=URI;s=…`, `ns=2;s=…` or `i=2258`, as other OPC UA tools write them.
 *
 * @returns Undefined if it is not an address.
 * @see OPC UA Part 6, section 5.1.12: a semicolon in a URI is written %3B, a percent sign %25.
 */
export function parseNodeAddress(text: string): NodeAddress | undefined {
  const { uri, index = '0', identifier = '' } = ADDRESS.exec(text)?.groups ?? {};
  if (identifier === '' || Number(index) > INDEX_MAX) return undefined;
  if (identifier.startsWith('i=') && Number(identifier.slice(2)) > NUMERIC_MAX) return undefined;
  if (uri === undefined) return { identifier, namespace: { index: Number(index) } };
  return { identifier, namespace: { uri: uri.replaceAll(/%3B/gi, ';').replaceAll('%25', '%') } };
}

/** Returns the address with the namespace's URI, which stays valid when the server numbers its namespaces differently. */
export function formatNodeAddress(identifier: string, uri: string): string {
  return `nsu=${uri.replaceAll('%', '%25').replaceAll(';', '%3B')};${identifier}`;
}
