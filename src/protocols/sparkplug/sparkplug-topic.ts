/** Sparkplug B, version 1.0 of the namespace. */
const NAMESPACE = 'spBv1.0';

const messageTypes = ['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH', 'NCMD', 'DCMD'] as const;
type SparkplugMessageType = (typeof messageTypes)[number];

/** `spBv1.0/<group>/<type>/<edge node>[/<device>]`. */
export type SparkplugTopic = {
  readonly group: string;
  readonly type: SparkplugMessageType;
  readonly edgeNode: string;
  /** '' for messages of the edge node itself. */
  readonly device: string;
};

/** @returns undefined where the topic is none of Sparkplug B. */
export function parseSparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [namespace, group = '', type = '', edgeNode = '', device = '', more] = topic.split('/');
  const known = messageTypes.find((each) => each === type);
  if (namespace !== NAMESPACE || known === undefined || group === '' || edgeNode === '') return undefined;
  if (more !== undefined || known.startsWith('D') !== (device !== '')) return undefined;
  return { group, type: known, edgeNode, device };
}

export function formatSparkplugTopic({ group, type, edgeNode, device }: SparkplugTopic): string {
  return [NAMESPACE, group, type, edgeNode, ...(device === '' ? [] : [device])].join('/');
}

/** Every message of the edge nodes that fit; `+` for any. */
export function sparkplugFilter(group: string, edgeNode: string): string {
  return `${NAMESPACE}/${group}/+/${edgeNode}/#`;
}

/** Where a host application says whether it is there. @see Sparkplug 3.0, section 5.6. */
export function hostStateTopic(hostId: string): string {
  return `${NAMESPACE}/STATE/${hostId}`;
}

/** The command by which a host application asks for all births anew. */
export const REBIRTH = 'Node Control/Rebirth';
/** The metric that tells a death of this session from one of an earlier session. */
export const BD_SEQ = 'bdSeq';
