const PREFIX = 'notify/';

/** Returns the name of the cursor of a channel in the outbox. No uplink has it: ids have no `/`. */
export function notifyCursor(id: string): string {
  return `${PREFIX}${id}`;
}

/** Returns the channel of a cursor; undefined for an uplink. */
export function channelOf(cursor: string): string | undefined {
  return cursor.startsWith(PREFIX) ? cursor.slice(PREFIX.length) : undefined;
}
