import type { UplinkInterest } from '../outbox/storage-protocol.ts';
import type { AgentConfig } from './config-schema.ts';
import { uplinkKindsWanted } from './kinds.ts';

/** Which uplink wants which kinds of records: the outbox keeps a record until all of them have it. */
export function recordInterests(config: AgentConfig): readonly UplinkInterest[] {
  return Object.entries(config.uplinks).map(([id, uplink]) => ({ id, kinds: uplinkKindsWanted(uplink) }));
}
