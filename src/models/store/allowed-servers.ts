import type { RemoteServer } from '../../contracts/remote-server.ts';
import type { ModelsConfig } from './models-config.ts';
import { remoteFailure } from '../errors/remote-errors.ts';

/** @throws {OperatingError} 'remote-server-not-allowed' where `models.remoteServers` is set and does not list it. */
export function checkServerAllowed({ url }: RemoteServer, { remoteServers }: ModelsConfig): void {
  const { origin } = new URL(url);
  if (remoteServers === undefined || remoteServers.includes(origin)) return;
  throw remoteFailure(
    'remote-server-not-allowed',
    `${origin} is not one of models.remoteServers (${remoteServers.join(', ') || 'none'})`,
  );
}

/**
 * Whoever makes a package must not have a secret of this box sent to a server of his choice: of a package that comes
 * from elsewhere, secrets go only where the configuration allows it, or where a trusted key signed it.
 *
 * @throws {OperatingError} 'remote-server-not-allowed'
 */
export function checkMayHaveSecrets({ url, token, headers }: RemoteServer, config: ModelsConfig): void {
  const secret = token ?? Object.values(headers).find((value) => typeof value !== 'string');
  if (secret === undefined || config.remoteServers !== undefined || config.trust !== undefined) return;
  throw remoteFailure(
    'remote-server-not-allowed',
    `The package would send a secret of this box to ${new URL(url).origin}: allow that server in models.remoteServers, or sign the package`,
  );
}
