import { join } from 'node:path';

/** Path from which the token of the commands on the box of the fleet service is named. */
export function fleetTokenPath(data: string): string {
  return join(data, 'fleet');
}
