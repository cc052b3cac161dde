import { modelServerConfig, movedHttpKeys } from '../serving/serving-config.ts';
import { type ListenAddress, listenAddress } from '../web/listen-address.ts';
import { CLIENT_HOST, FORMER_CLIENT_HOST, type ProviderConfig } from '../models/store/models-config.ts';
import { hostOf } from '../models/store/serving.ts';
import { isPlainObject, valueAt } from '../platform/positioned-document.ts';
import type { AgentConfig } from './config-schema.ts';
import { type CheckContext, error, type Finding, warning } from './config-finding.ts';
import type { ModelLookup } from './config-model-checks.ts';
import { nearest } from '../domain/nearest-word.ts';

/** Reports settings without effect: for models and hosts that do not exist, and for providers without devices. */
export function servingFindings({ config }: CheckContext, file: unknown, lookup: ModelLookup): readonly Finding[] {
  const { models } = config;
  const ofFile = [...addressFindings(config), ...movedKeyFindings(file), ...formerHostFindings(file)];
  if (models === undefined || lookup.names.length === 0) return ofFile;
  const limits = Object.keys(models.limits);
  const named = [...lookup.names, ...limits].flatMap((name) => [
    hostOf(models, name, 'watch'),
    hostOf(models, name, 'client'),
  ]);
  const hosts = [...new Set(named)];
  return [
    ...ofFile,
    ...limits
      .filter((name) => !lookup.names.includes(name))
      .map((name) => unknownModel(['limits', name], name, lookup)),
    ...(Array.isArray(models.serve) ? models.serve : []).flatMap((name, index) =>
      lookup.names.includes(name) ? [] : [unknownModel(['serve', index], name, lookup)],
    ),
    ...Object.keys(models.hosts)
      .filter((name) => !hosts.includes(name))
      .map((name) => {
        const near = nearest(name, hosts);
        const hint = near === undefined ? `hosts: ${hosts.join(', ')}` : `did you mean '${near}'?`;
        return warning(['models', 'hosts', name], `no model runs in host '${name}'; ${hint}`);
      }),
    ...deviceFindings(['models', 'executionProviders'], models.executionProviders),
    ...Object.entries(models.limits).flatMap(([name, { executionProviders = [] }]) =>
      deviceFindings(['models', 'limits', name, 'executionProviders'], executionProviders),
    ),
  ];
}

/** Warns about the former name of the host for client models. */
function formerHostFindings(file: unknown): readonly Finding[] {
  const limits = valueAt(file, ['models', 'limits']);
  const message = `host '${FORMER_CLIENT_HOST}' was renamed to '${CLIENT_HOST}': change the name here`;
  return [
    ...Object.keys(isPlainObject(limits) ? limits : {}).flatMap((name) => {
      const path = ['models', 'limits', name, 'host'];
      return valueAt(file, path) === FORMER_CLIENT_HOST ? [warning(path, message)] : [];
    }),
    ...(valueAt(file, ['models', 'hosts', FORMER_CLIENT_HOST]) === undefined
      ? []
      : [warning(['models', 'hosts', FORMER_CLIENT_HOST], message, 'key')]),
  ];
}

function unknownModel(path: Finding['path'], name: string, { names }: ModelLookup): Finding {
  const near = nearest(name, names);
  const hint = near === undefined ? 'the setting has no effect until it is installed' : `did you mean '${near}'?`;
  return warning(['models', ...path], `there is no model '${name}'; ${hint}`);
}

function deviceFindings(path: Finding['path'], providers: readonly ProviderConfig[]): readonly Finding[] {
  return providers.flatMap(({ name, deviceId }, index) =>
    deviceId === 0 || name === 'cuda'
      ? []
      : [warning([...path, index], `deviceId ${deviceId} has no effect on ${name}: only cuda has numbered devices`)],
  );
}

function addressFindings({ http, serving, models }: Partial<AgentConfig>): readonly Finding[] {
  if (http === undefined || models === undefined) return [];
  const server = modelServerConfig({ http, serving, models });
  if (server === undefined) return [];
  const agents = portConflict(server.listen, http.listen, 'the agent and the model server');
  // A configuration from before section `serving` must still start: the agent has its port, and health reports the conflict.
  if (agents !== undefined && serving === undefined)
    return [warning(['http', 'listen'], `${agents}, so models are not served; set serving.listen`)];
  const grpcs =
    server.grpc === undefined
      ? undefined
      : (portConflict(server.grpc, http.listen, 'the agent and gRPC') ??
        portConflict(server.grpc, server.listen, 'the model server and gRPC'));
  return [
    ...(agents === undefined ? [] : [error(['serving', 'listen'], `${agents}; give them two ports`)]),
    ...(grpcs === undefined ? [] : [error(['serving', 'grpc'], `${grpcs}; give them two ports`)]),
  ];
}

/** Returns the start of a message if two addresses would be one. */
function portConflict(one: string, other: string, who: string): string | undefined {
  const [first, second] = [listenAddress(one), listenAddress(other)];
  if (first === undefined || second === undefined || !isSamePort(first, second)) return undefined;
  return `${who} would both listen on port ${first.port}`;
}

function isSamePort(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port === 0 || one.port !== other.port) return false;
  return one.host === other.host || isEveryAddress(one.host) || isEveryAddress(other.host);
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function movedKeyFindings(file: unknown): readonly Finding[] {
  return Object.keys(movedHttpKeys).flatMap((key) => {
    if (valueAt(file, ['http', key]) === undefined) return [];
    const path = ['http', key];
    return valueAt(file, ['serving', key]) === undefined
      ? [warning(path, `moved to serving.${key}; its value is still used. Move the key to section serving`, 'key')]
      : [error(path, `moved to serving.${key}, which is given as well; remove it here`, 'key')];
  });
}
