/** Returns the name of the cursor of a channel in the outbox. No uplink has it: ids have no `/`. */
export function notifyCursor(id: string): string {
  return `notify/${id}`;
}
