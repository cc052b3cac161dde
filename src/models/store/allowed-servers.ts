import type { RemoteServer } from '../../contracts/remote-server.ts';
import type { ModelsConfig } from './models-config.ts';
import { remoteFailure } from '../errors/remote-errors.ts';

/** @throws {OperatingError} 'remote-server-not-allowed' if `models.remoteServers` is set and does not list the server. */
export function checkServerAllowed({ url }: RemoteServer, { remoteServers }: ModelsConfig): void {
  const { origin } = new URL(url);
  if (remoteServers === undefined || remoteServers.includes(origin)) return;
  throw remoteFailure(
    'remote-server-not-allowed',
    `${origin} is not in models.remoteServers (${remoteServers.join(', ') || 'empty'}). Add it if this server may receive your data`,
  );
}

/**
 * Checks a package that refers to secrets of this machine: its author must not choose which server receives them. They
 * are sent only if the configuration allows servers, or trusts the key that signed the package.
 *
 * @throws {OperatingError} 'remote-server-not-allowed'
 */
export function checkMayHaveSecrets({ url, token, headers }: RemoteServer, config: ModelsConfig): void {
  const secret = token ?? Object.values(headers).find((value) => typeof value !== 'string');
  if (secret === undefined || config.remoteServers !== undefined || config.trust !== undefined) return;
  throw remoteFailure(
    'remote-server-not-allowed',
    `The package would send a secret of this machine to ${new URL(url).origin}. Add the server to models.remoteServers, or sign the package with a trusted key`,
  );
}
