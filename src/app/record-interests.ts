import type { UplinkInterest } from '../outbox/file/storage-protocol.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { uplinkKindsWanted } from '../config/kinds.ts';

/** Which uplink wants which kinds of records: the outbox keeps a record until all of them have it. */
export function recordInterests(config: AgentConfig): readonly UplinkInterest[] {
  return Object.entries(config.uplinks).map(([id, uplink]) => ({ id, kinds: uplinkKindsWanted(uplink) }));
}
