import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Addresses that are not on the public internet (RFC 6890). */
const privateAddresses = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  privateAddresses.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 96],
  ['2001::', 32],
  ['2002::', 16],
  ['fec0::', 10],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  privateAddresses.addSubnet(network, prefix, 'ipv6');

/** Returns true for an address of a local network or of this machine. IPv4 in IPv6 (`::ffff:10.0.0.1`) counts as IPv4. */
export function isPrivateAddress(address: string): boolean {
  return privateAddresses.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Refuses an address of a local network, and the names of this machine. `lookupPublic` checks all other names; it is not
 * called for an address, nor for a name that a proxy looks up.
 *
 * @param hostname As in a URL.
 * @throws {PrivateAddressError}
 */
export function checkPublic(hostname: string): void {
  const host = hostname.replace(/^\[|\]$/g, '');
  const isPrivate = isIP(host) === 0 ? /(^|\.)localhost\.?$/.test(host) : isPrivateAddress(host);
  if (isPrivate) throw new PrivateAddressError(host, host);
}

/**
 * Looks up a name and refuses private addresses. The check is part of the lookup, because a second lookup could give
 * another address.
 */
export const lookupPublic: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return done(error, '', 0);
    const refused = addresses.find(({ address }) => isPrivateAddress(address));
    if (refused !== undefined) return done(new PrivateAddressError(host, refused.address), '', 0);
    if (options.all === true) return done(null, addresses);
    const [first] = addresses;
    return first === undefined
      ? done(new Error(`${host} has no address`), '', 0)
      : done(null, first.address, first.family);
  });
};

/** The server of a download is on a local network. */
class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
  /** Not an error of the network: a retry does not help. */
  readonly code = 'ERR_PRIVATE_ADDRESS';

  constructor(host: string, address: string) {
    const shown = host === address ? address : `${host} (${address})`;
    super(`${shown} is an address of a local network. Set models.privateDownloads: true if packages come from there`);
  }
}
