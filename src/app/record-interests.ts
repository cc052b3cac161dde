import type { UplinkInterest } from '../outbox/file/storage-protocol.ts';
import { notifyCursor } from '../domain/notify/notify-cursor.ts';
import type { AgentConfig } from '../config/config-schema.ts';

/** Returns the record kinds of each uplink and channel of notifications. The outbox keeps a record until every uplink of its kind has delivered it. */
export function recordInterests(config: AgentConfig): readonly UplinkInterest[] {
  return [
    ...Object.entries(config.uplinks).map(([id, uplink]) => ({ id, kinds: uplink.records })),
    ...Object.keys(config.notify).map((id) => ({ id: notifyCursor(id), kinds: ['alarm'] as const })),
  ];
}
