import type { ProviderConfig } from '../models/store/models-config.ts';
import { hostOf } from '../models/store/serving.ts';
import type { CheckContext, Finding } from './config-finding.ts';
import { warning } from './config-finding.ts';
import type { ModelLookup } from './config-model-checks.ts';
import { nearest } from '../domain/nearest-word.ts';

/** What is said of models and hosts that there are not: likely misspelt, and without effect. */
export function servingFindings({ config }: CheckContext, lookup: ModelLookup): readonly Finding[] {
  const { models } = config;
  if (models === undefined || !lookup.directoryHasModels) return [];
  const limits = Object.keys(models.limits);
  const named = [...lookup.names, ...limits].flatMap((name) => [
    hostOf(models, name, 'watch'),
    hostOf(models, name, 'visitor'),
  ]);
  const hosts = [...new Set(named)];
  return [
    ...limits
      .filter((name) => !lookup.names.includes(name))
      .map((name) => unknownModel(['limits', name], name, lookup)),
    ...(Array.isArray(models.serve) ? models.serve : []).flatMap((name, index) =>
      lookup.names.includes(name) ? [] : [unknownModel(['serve', index], name, lookup)],
    ),
    ...Object.keys(models.hosts)
      .filter((name) => !hosts.includes(name))
      .map((name) => {
        const meant = nearest(name, hosts);
        const hint = meant === undefined ? `there is ${hosts.join(', ')}` : `did you mean '${meant}'?`;
        return warning(['models', 'hosts', name], `no model runs in a host '${name}'; ${hint}`);
      }),
    ...deviceFindings(['models', 'executionProviders'], models.executionProviders),
    ...Object.entries(models.limits).flatMap(([name, { executionProviders = [] }]) =>
      deviceFindings(['models', 'limits', name, 'executionProviders'], executionProviders),
    ),
  ];
}

function unknownModel(path: Finding['path'], name: string, { names }: ModelLookup): Finding {
  const meant = nearest(name, names);
  const hint = meant === undefined ? 'this has no effect until it is installed' : `did you mean '${meant}'?`;
  return warning(['models', ...path], `there is no model '${name}'; ${hint}`);
}

function deviceFindings(path: Finding['path'], providers: readonly ProviderConfig[]): readonly Finding[] {
  return providers.flatMap(({ name, deviceId }, index) =>
    deviceId === 0 || name === 'cuda'
      ? []
      : [warning([...path, index], `deviceId ${deviceId} has no effect on ${name}: only cuda has numbered devices`)],
  );
}
