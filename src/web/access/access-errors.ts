import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

export const accessErrors = {
  'login-needed': reject(
    'A request came without a valid login, and the path needs one.',
    'Log in on the page, or send `Authorization: Bearer <token>`. `andon users add` and `andon tokens add` create logins. On the box, run the command as the user of the agent (`sudo -u andon andon …`).',
  ),
  'login-failed': reject(
    'A login failed: the user does not exist, or the password is wrong.',
    '`andon users passwd NAME` sets a new password.',
  ),
  'login-throttled': retry(
    'Too many logins failed from this address, or too many came at the same time.',
    'Wait for the time in `Retry-After`. The log names the address and the user.',
  ),
  'role-needed': reject(
    'The login is valid, but its role may not do this.',
    'Use a login with the role that the message names. `andon users add NAME --role ROLE` changes the role of a user.',
  ),
  'request-foreign': reject(
    'A browser sent the request for a page of another site, or with the host name of another machine.',
    'Open the page of the agent itself, under the host name in its address bar.',
  ),
  'certificate-needed': reject(
    'The endpoint has `tls.clientCa`, and the client has no certificate of that authority.',
    'Install a client certificate that was signed by the authority in `tls.clientCa`.',
  ),
  'users-file-invalid': reject(
    'The file with users and tokens cannot be read. The last valid content stays in force; without one, no login works.',
    'Fix the line in the message. The file is read again when it changes.',
  ),
} as const satisfies ErrorCatalogue;

export const accessFailure = failures(accessErrors);

/** HTTP status by error code. */
export const accessStatuses: Readonly<Record<string, number>> = {
  'login-needed': 401,
  'login-failed': 401,
  'login-throttled': 429,
  'role-needed': 403,
  'request-foreign': 403,
  'certificate-needed': 403,
};
