import { type Authenticator, credsAuthenticator } from '@nats-io/transport-node';
import { readSecret, type SecretReference } from '../../platform/config-fields.ts';

/** Returns the login of a credentials file (.creds), read now. @throws {OperatingError} 'secret-missing' (retry). */
export function credentialsLogin(credentials: SecretReference): Authenticator {
  // The library finds the end of a part only with its newline, which a secret does not have at its end.
  return credsAuthenticator(new TextEncoder().encode(`${readSecret(credentials)}\n`));
}
