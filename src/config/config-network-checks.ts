import { statSync } from 'node:fs';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { pemProblem, type TlsFiles } from '../platform/tls-files.ts';
import { modelServerConfig } from '../serving/serving-config.ts';
import { readUsers } from '../web/access/users-file.ts';
import type { EndpointConfig } from '../web/endpoint-config.ts';
import { listenAddress } from '../web/listen-address.ts';
import { type CheckContext, duplicates, error, type Finding, warning } from './config-finding.ts';
import { isPlainObject } from '../platform/positioned-document.ts';
import { SECRET_IN_CLEAR } from './config-messages.ts';
import type { AgentConfig } from './config-schema.ts';

/** Checks what crosses the network: access from outside, client ids, and secrets in clear text. */
export function networkFindings(context: CheckContext): readonly Finding[] {
  return [
    ...accessFindings(context),
    ...clientIdFindings(context),
    ...thinFindings(context),
    ...headerFindings(context),
    ...clearTextFindings(context),
    ...tlsFileFindings(context),
    ...opcuaFindings(context),
  ];
}

/** Checks who can reach the agent and the model server, and who may use them. */
function accessFindings({ config: { http, serving, models } }: CheckContext): readonly Finding[] {
  if (http === undefined) return [];
  const server = models === undefined ? undefined : modelServerConfig({ http, serving, models });
  const addresses = [http.listen, server?.listen, server?.grpc];
  const isReached = addresses.some((each) => each !== undefined && listenAddress(each)?.loopback === false);
  return [
    ...endpointFindings(['http', 'listen'], http),
    ...(server === undefined ? [] : endpointFindings(['serving', 'listen'], server)),
    ...(server?.grpc === undefined ? [] : endpointFindings(['serving', 'grpc'], { ...server, listen: server.grpc })),
    ...usersFileFindings(http.users),
    ...(models === undefined || !isReached ? [] : modelSourceFindings(models)),
  ];
}

/** Other machines reach the agent: then a stolen login of an engineer should not be able to bring any model. */
function modelSourceFindings({ trust, remoteServers }: AgentConfig['models']): readonly Finding[] {
  const unset = 'is not set, and other machines reach the agent';
  return [
    ...(trust === undefined
      ? [
          warning(
            ['models', 'trust'],
            `${unset}: any model that an engineer installs is loaded. Name the keys that sign models (andon models keygen)`,
          ),
        ]
      : []),
    ...(remoteServers === undefined
      ? [
          warning(
            ['models', 'remoteServers'],
            `${unset}: a model may send values to any server. Name the servers; [] allows none`,
          ),
        ]
      : []),
  ];
}

function endpointFindings(
  at: readonly ['http' | 'serving', 'listen' | 'grpc'],
  endpoint: EndpointConfig,
): readonly Finding[] {
  const address = listenAddress(endpoint.listen);
  if (address === undefined || address.loopback) return [];
  const [section] = at;
  const { users, token, tls, insecure, anonymous } = endpoint;
  const reached = `${address.host} can be reached from the network`;
  const clearText = 'passwords, tokens and values can be read on the way';
  return [
    ...(users === undefined && token === undefined
      ? [
          error(
            at,
            `${reached}, and there is no login for it: set http.users, and run andon users add NAME --role admin`,
          ),
        ]
      : []),
    ...(tls === undefined && !insecure
      ? [
          error(
            at,
            `${reached} without TLS: ${clearText}. Set ${section}.tls (andon tls init makes a certificate), listen on 127.0.0.1, or set http.insecure: true`,
          ),
        ]
      : []),
    ...(tls === undefined && insecure ? [warning(at, `${reached} without TLS: ${clearText}`)] : []),
    ...(section === 'http' && anonymous !== undefined && anonymous !== 'none'
      ? [
          error(
            ['http', 'anonymous'],
            `has no effect on ${address.host}: requests without a login are only for a loopback address`,
          ),
        ]
      : []),
  ];
}

function usersFileFindings(path: string | undefined): readonly Finding[] {
  if (path === undefined) return [];
  const at = ['http', 'users'];
  try {
    const { users, tokens } = readUsers(path);
    if (Object.keys(users).length + Object.keys(tokens).length === 0)
      return [warning(at, `${path} has no user: run andon users init`)];
    const isOpen = (statSync(path).mode & 0o077) !== 0;
    return isOpen ? [warning(at, `other Unix users may read or change ${path}: run chmod 600 ${path}`)] : [];
  } catch (problem) {
    // The command that checks may be one of another Unix user.
    if (errorCode((problem as Error).cause) === 'EACCES') return [];
    // No error: a wrong line for the page must not stop monitoring at the next start.
    return [warning(at, `${errorMessage(problem)}. No login works until this is corrected`)];
  }
}

/** A connection to a peer, in any section. */
type Connection = {
  readonly path: readonly string[];
  readonly url: string;
  readonly clientId: string | undefined;
  readonly hasSecret: boolean;
};

/** Sections with a connection, and their paths. */
function connecting({
  sources = {},
  publish,
  sparkplug,
  uplinks = {},
  outputs = {},
  notify = {},
}: CheckContext['config']) {
  return [
    ...Object.entries(sources).map(([id, entry]) => [['sources', id], entry] as const),
    ...(publish === undefined ? [] : [[['publish'], publish] as const]),
    ...(sparkplug === undefined ? [] : [[['sparkplug'], sparkplug] as const]),
    // An uplink that writes files has no connection.
    ...Object.entries(uplinks).flatMap(([id, entry]) => ('url' in entry ? [[['uplinks', id], entry] as const] : [])),
    ...Object.entries(outputs).flatMap(([id, entry]) =>
      entry.type === 'mqtt' ? [[['outputs', id], entry] as const] : [],
    ),
    ...Object.entries(notify).map(([id, entry]) => [['notify', id], { ...entry, url: urlOf(entry.url) }] as const),
  ];
}

/** Returns a URL; empty for one that is a secret. */
function urlOf(url: string | object): string {
  return typeof url === 'string' ? url : '';
}

function connections({ config }: CheckContext): readonly Connection[] {
  return connecting(config).map(([path, entry]) => ({
    path,
    url: entry.url,
    clientId: 'clientId' in entry ? entry.clientId : undefined,
    hasSecret:
      ('password' in entry && entry.password !== undefined) ||
      ('token' in entry && entry.token !== undefined) ||
      ('headers' in entry && Object.values(entry.headers).some((value) => isPlainObject(value))) ||
      ('parameters' in entry && Object.values(entry.parameters).some((value) => isPlainObject(value))),
  }));
}

/** Summaries follow from the order in which records were stored. */
function thinFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.uplinks ?? {}).flatMap(([id, entry]) =>
    entry.thin !== undefined && 'order' in entry && entry.order !== 'oldest-first'
      ? [error(['uplinks', id, 'thin'], `requires order: oldest-first, but order is ${entry.order}`)]
      : [],
  );
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
  const entries = [
    ...Object.entries(config.uplinks ?? {}).map(([id, entry]) => [['uplinks', id], entry] as const),
    ...Object.entries(config.notify ?? {}).map(([id, entry]) => [['notify', id], entry] as const),
  ];
  return entries.flatMap(([at, entry]) => {
    if (!('headers' in entry)) return [];
    return Object.entries(entry.headers).flatMap(([name, value]) => {
      if (typeof value !== 'string' || !SECRET_HEADER.test(name)) return [];
      return [error([...at, 'headers', name], SECRET_IN_CLEAR)];
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

/** Checks the files of connections that andon opens. A wrong one is a warning: monitoring must start without it. */
function tlsFileFindings({ config }: CheckContext) {
  return [...connecting(config), [['models'], config.models ?? {}] as const].flatMap(([path, entry]) => {
    const tls: TlsFiles = 'tls' in entry ? (entry.tls ?? {}) : {};
    return (['ca', 'cert', 'key'] as const).flatMap((name) => {
      const source = tls[name];
      const problem = source === undefined ? undefined : pemProblem(source, name === 'key' ? 'key' : 'certificate');
      return problem === undefined ? [] : [warning([...path, 'tls', name], problem)];
    });
  });
}

/** Checks the security and the addresses of OPC UA sources. */
function opcuaFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.sources ?? {}).flatMap(([id, source]) => {
    if (source.type !== 'opcua') return [];
    const at = ['sources', id];
    const isLocal = listenAddress(`${URL.parse(source.url)?.hostname ?? ''}:1`)?.loopback === true;
    const files = Object.entries({ certificate: source.certificate, userCertificate: source.userCertificate });
    const byIndex = Object.entries(source.tags).filter(([, { node }]) => /^ns=[1-9]/.test(node));
    const [first] = byIndex;
    return [
      ...(source.security.policy === 'None' && !isLocal
        ? [
            warning(
              [...at, 'security'],
              'policy None: everyone on the network can read and change values, and read a password. Use Basic256Sha256 or Aes256_Sha256_RsaPss',
            ),
          ]
        : []),
      ...files.flatMap(([key, pair]) =>
        (['cert', 'key'] as const).flatMap((name) => {
          const problem =
            pair === undefined ? undefined : pemProblem(pair[name], name === 'key' ? 'key' : 'certificate');
          return problem === undefined ? [] : [warning([...at, key, name], problem)];
        }),
      ),
      ...(first === undefined
        ? []
        : [
            warning(
              [...at, 'tags', first[0], 'node'],
              `${byIndex.length === 1 ? 'this tag names' : `${byIndex.length} tags name`} a namespace by its index, which a server may change: use nsu=URI;… (andon opcua browse ${id} prints the addresses)`,
            ),
          ]),
    ];
  });
}
