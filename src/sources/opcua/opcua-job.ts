import { readSecret } from '../../platform/config-fields.ts';
import type { OpcuaSourceConfig } from './opcua-config.ts';
import type { OpcuaEndpoint, OpcuaItem, OpcuaJob, OpcuaRead, OpcuaUser } from './opcua-protocol.ts';

/** Most values that a server is asked to keep for an item between two publications, by default. */
const DEFAULT_QUEUE_MAX = 1000;

/**
 * Returns how to reach the server of a source.
 *
 * @param pkiFolder Folder with andon's certificate and the trusted ones.
 * @throws {OperatingError} 'secret-missing' (retry).
 */
export function opcuaEndpoint(source: string, config: OpcuaSourceConfig, pkiFolder: string): OpcuaEndpoint {
  const { url, security, certificate, connectTimeoutMs } = config;
  return { source, url, security, certificate, connectTimeoutMs, user: userOf(config), pkiFolder };
}

/** Returns what to read: items of the server, each with the tags that read its value or parts of it. */
export function opcuaReads({
  tags,
  publishingIntervalMs,
}: Pick<OpcuaSourceConfig, 'tags' | 'publishingIntervalMs'>): Pick<OpcuaJob, 'items' | 'reads'> {
  const items = new Map<string, OpcuaItem & { reads: number[] }>();
  const reads = Object.entries(tags).map(([name, tag], index): OpcuaRead => {
    const { node, path, scale, offset, map } = tag;
    const publishingMs = tag.publishingIntervalMs ?? publishingIntervalMs;
    const samplingMs = tag.samplingIntervalMs ?? publishingMs;
    // The server cannot apply a deadband to a part of a value.
    const deadband = path === undefined && map === undefined && scale !== 0 ? tag.deadband / Math.abs(scale) : 0;
    const queueSize = tag.queueSize ?? queueFor(publishingMs, samplingMs);
    const key = JSON.stringify([node, publishingMs, samplingMs, queueSize, deadband]);
    const item = items.get(key) ?? { node, publishingMs, samplingMs, queueSize, deadband, reads: [] };
    item.reads.push(index);
    items.set(key, item);
    return { name, path, scale, offset, map };
  });
  return { items: [...items.values()], reads };
}

/** A queue for the samples of one publishing interval, and for as many again if a publication is late. */
function queueFor(publishingMs: number, samplingMs: number): number {
  return Math.min(DEFAULT_QUEUE_MAX, 2 * Math.ceil(publishingMs / Math.max(samplingMs, 1)));
}

function userOf({ username, password, userCertificate }: OpcuaSourceConfig): OpcuaUser {
  if (userCertificate !== undefined) return { kind: 'certificate', ...userCertificate };
  if (username === undefined) return { kind: 'anonymous' };
  return { kind: 'password', name: username, password: password === undefined ? '' : readSecret(password) };
}
