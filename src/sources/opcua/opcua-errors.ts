import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

export const opcuaErrors = {
  'opcua-not-reached': retry(
    'No connection to the OPC UA server: it refused, was not reachable, or did not answer within connectTimeout.',
    'Check the host, port and path of `url`, the firewall, and that the server runs.',
  ),
  'opcua-security-unsupported': reject(
    'The OPC UA server does not offer the security policy and mode of `security`.',
    'Set `security` to a pair that the message lists, or allow the configured one in the server.',
  ),
  'opcua-server-untrusted': reject(
    "andon does not trust the server's certificate, or the certificate is not valid (expired, or for another use).",
    'Compare the fingerprint on the server, then run `andon opcua trust NAME`. Renew an expired certificate in the server.',
  ),
  'opcua-client-untrusted': reject(
    "The OPC UA server does not trust andon's certificate.",
    'Trust the certificate in the server: `andon opcua certificate NAME` prints its path and fingerprint. Many servers list it under rejected certificates.',
  ),
  'opcua-login-refused': reject(
    'The OPC UA server refused the login.',
    'Check `username` and `password`, or `userCertificate`, and which logins the server allows at this endpoint.',
  ),
  'opcua-certificate-unreadable': reject(
    'A certificate or key of the configuration cannot be read, or has no application URI.',
    'Check the paths and the rights of the files. An application certificate needs a URI as a subject alternative name.',
  ),
  'opcua-browse-failed': retry(
    'A node could not be listed: the connection is down, or the server refuses the node.',
    'Check the connection of the source, and that its user may see the node.',
  ),
  'opcua-browser-busy': retry(
    'Other pages list nodes of this source at present.',
    'Retry after a few seconds, or close the other pages.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const opcuaFailure = failures(opcuaErrors);
