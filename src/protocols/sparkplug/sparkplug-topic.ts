/** Sparkplug B, version 1.0 of the namespace. */
const NAMESPACE = 'spBv1.0';

const messageTypes = ['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH', 'NCMD', 'DCMD'] as const;
type SparkplugMessageType = (typeof messageTypes)[number];

/** `spBv1.0/<group>/<type>/<edge node>[/<device>]`. */
export type SparkplugTopic = {
  readonly group: string;
  readonly type: SparkplugMessageType;
  readonly edgeNode: string;
  /** Undefined for messages of the edge node itself. */
  readonly device: string | undefined;
};

/** @returns Undefined if the topic is not a Sparkplug B topic. */
export function parseSparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [namespace, group = '', type = '', edgeNode = '', device, more] = topic.split('/');
  const known = messageTypes.find((each) => each === type);
  if (namespace !== NAMESPACE || known === undefined || group === '' || edgeNode === '') return undefined;
  if (more !== undefined || device === '' || known.startsWith('D') !== (device !== undefined)) return undefined;
  return { group, type: known, edgeNode, device };
}

export function formatSparkplugTopic({ group, type, edgeNode, device }: SparkplugTopic): string {
  return [NAMESPACE, group, type, edgeNode, ...(device === undefined ? [] : [device])].join('/');
}

/** Filter for all messages of the matching edge nodes; `+` matches any. */
export function sparkplugFilter(group: string, edgeNode: string): string {
  return `${NAMESPACE}/${group}/+/${edgeNode}/#`;
}

/** Topic on which a host application publishes its state. @see Sparkplug 3.0, section 5.6. */
export function hostStateTopic(hostId: string): string {
  return `${NAMESPACE}/STATE/${hostId}`;
}

/** Command of a host application that requests a new birth. */
export const REBIRTH = 'Node Control/Rebirth';
/** Metric that identifies the session of a death. */
export const BD_SEQ = 'bdSeq';
