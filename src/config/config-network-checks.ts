import { listenAddress } from '../web/listen-address.ts';
import { type CheckContext, duplicates, error, type Finding, warning } from './config-finding.ts';
import { isPlainObject } from './config-document.ts';
import { SECRET_IN_CLEAR } from './config-messages.ts';

/** Checks what crosses the network: access from outside, client ids, and secrets in clear text. */
export function networkFindings(context: CheckContext): readonly Finding[] {
  return [
    ...listenFindings(context),
    ...clientIdFindings(context),
    ...headerFindings(context),
    ...clearTextFindings(context),
  ];
}

function listenFindings({ config }: CheckContext): readonly Finding[] {
  const address = config.http === undefined ? undefined : listenAddress(config.http.listen);
  if (address === undefined || address.loopback || config.http?.token !== undefined) return [];
  const reason = `anyone who reaches ${address.host} over the network could acknowledge alarms and load models`;
  return [error(['http', 'listen'], `requires http.token: ${reason}; set token: { env: NAME } or listen on 127.0.0.1`)];
}

/** A connection to a peer, in any section. */
type Connection = {
  readonly path: readonly string[];
  readonly url: string;
  readonly clientId: string | undefined;
  readonly hasSecret: boolean;
};

function connections({ config }: CheckContext): readonly Connection[] {
  const sections = [
    ...Object.entries(config.sources ?? {}).map(([id, entry]) => [['sources', id], entry] as const),
    ...(config.publish === undefined ? [] : [[['publish'], config.publish] as const]),
    ...(config.sparkplug === undefined ? [] : [[['sparkplug'], config.sparkplug] as const]),
    ...Object.entries(config.uplinks ?? {}).map(([id, entry]) => [['uplinks', id], entry] as const),
  ];
  return sections.map(([path, entry]) => ({
    path,
    url: entry.url,
    clientId: 'clientId' in entry ? entry.clientId : undefined,
    hasSecret:
      ('password' in entry && entry.password !== undefined) ||
      ('headers' in entry && Object.values(entry.headers).some((value) => isPlainObject(value))),
  }));
}

function clientIdFindings(context: CheckContext): readonly Finding[] {
  const named = connections(context).filter(({ clientId }) => clientId !== undefined);
  const key = ({ url, clientId }: Connection) => `${URL.parse(url)?.host ?? url} ${clientId}`;
  const why = 'a broker allows one connection for each client id, so each would disconnect the other';
  return duplicates(named, key).map(({ item: { path, clientId }, first }) =>
    error([...path, 'clientId'], `${first.path.join('.')} uses client id '${clientId}' on the same broker: ${why}`),
  );
}

/** Headers whose value is a credential. */
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie)$|token|secret|password|api-?key/i;

function headerFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.uplinks ?? {}).flatMap(([id, uplink]) => {
    if (!('headers' in uplink)) return [];
    return Object.entries(uplink.headers).flatMap(([name, value]) => {
      if (typeof value !== 'string' || !SECRET_HEADER.test(name)) return [];
      const path = ['uplinks', id, 'headers', name];
      return [error(path, SECRET_IN_CLEAR)];
    });
  });
}

const CLEAR_TEXT = new Set(['mqtt:', 'ws:', 'http:']);

function clearTextFindings(context: CheckContext): readonly Finding[] {
  return connections(context).flatMap(({ path, url, hasSecret }) => {
    const parsed = URL.parse(url);
    if (parsed === null || !hasSecret || !CLEAR_TEXT.has(parsed.protocol)) return [];
    if (listenAddress(`${parsed.hostname}:1`)?.loopback === true) return [];
    const secure = `${parsed.protocol.slice(0, -1)}s://`;
    return [warning([...path, 'url'], `the secret is sent over the network without encryption: use ${secure}`)];
  });
}
