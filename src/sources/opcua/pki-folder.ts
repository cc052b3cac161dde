import { join } from 'node:path';

/** Returns the folder with andon's OPC UA certificate, its key, and the certificates that it trusts and rejected. */
export function pkiFolderOf(stateFolder: string): string {
  return join(stateFolder, 'opcua');
}
