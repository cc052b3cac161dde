import * as z from 'zod';

/** `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8080`, `edge-01.local:8080`. */
const LISTEN_PATTERN = /^(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/;
const LISTEN_EXPECTED = "expected 'host:port' such as '127.0.0.1:8080' or '[::1]:8080'";
const PORT_MAX = 65_535;

export type ListenAddress = { readonly host: string; readonly port: number; readonly loopback: boolean };

/** Returns the parts of a `listen` setting, an IPv6 host without its brackets; undefined if the text is not `host:port`. */
export function listenAddress(listen: string): ListenAddress | undefined {
  const match = LISTEN_PATTERN.exec(listen);
  if (match === null) return undefined;
  const host = (match[1] ?? '').replace(/^\[|\]$/g, '');
  return { host, port: Number(match[2]), loopback: isLoopback(host) };
}

/** The `listen` setting of an HTTP endpoint. */
export function listenField(defaultAddress: string) {
  return z
    .string()
    .regex(LISTEN_PATTERN, { error: LISTEN_EXPECTED })
    .refine((text) => (listenAddress(text)?.port ?? 0) <= PORT_MAX, {
      error: `must have a port of ${PORT_MAX} or less`,
    })
    .default(defaultAddress)
    .describe(
      'Address and port. An address other than loopback requires users or token, and TLS. Port 0 selects a free port',
    )
    .meta({ examples: [defaultAddress, defaultAddress.replace('127.0.0.1', '0.0.0.0')] });
}

/** Returns true if only this machine can reach the host: 127.0.0.0/8, ::1, or the name localhost. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
