import type { AgentConfig } from '../config/config-schema.ts';
import { agentTags } from '../config/config-tags.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { inputsOf } from '../pipeline/derived-tags.ts';
import { outputSettings } from './output-settings.ts';

/** What the components and tags of an agent depend on. */
type Dependencies = {
  /** Health components and tags that each watch (`watch/<id>`) and each tag (`tag/<name>`) needs. */
  readonly neededBy: ReadonlyMap<string, readonly string[]>;
  /** Things without health that components share: addresses of devices and brokers, inputs of derived tags. */
  readonly sharedBy: ReadonlyMap<string, readonly string[]>;
};

/** Returns what can be the common cause of several troubles. A derived tag needs its inputs and their sources. */
export function dependencies(config: AgentConfig): Dependencies {
  const { derived, watches } = config;
  const tags = agentTags(config);
  const sourceOf = new Map(tags.map(({ name, source }) => [name, [`source/${source}`]]));
  const inputs = (tag: string): readonly string[] => {
    const expression = Object.hasOwn(derived, tag) ? derived[tag]?.expr : undefined;
    return expression === undefined
      ? []
      : [...new Set(inputsOf(expression).flatMap((name) => [name, ...inputs(name)]))];
  };
  const sourcesOf = (tag: string): readonly string[] =>
    Object.hasOwn(derived, tag) ? inputs(tag).flatMap((name) => sourcesOf(name)) : (sourceOf.get(tag) ?? []);
  const needs = (names: readonly string[]): readonly string[] => [
    ...new Set([...names.flatMap(sourcesOf), ...names.flatMap(inputs).map((name) => `tag/${name}`)]),
  ];
  return {
    neededBy: new Map([
      ...tags.map(({ name }) => [`tag/${name}`, needs([name])] as const),
      ...Object.entries(watches).map(([id, { tags: names, model }]) => {
        const own = names.map((name) => `tag/${name}`);
        return [`watch/${id}`, ['inference', `model/${formatModelReference(model)}`, ...needs(names), ...own]] as const;
      }),
    ]),
    sharedBy: new Map([
      ...connections(config),
      ...Object.keys(derived).map((name) => [`tag/${name}`, inputs(name)] as const),
    ]),
  };
}

/** Returns the address of each component that has a connection. */
function connections(config: AgentConfig): readonly (readonly [string, readonly string[]])[] {
  const { sources, uplinks, publish, sparkplug } = config;
  return [
    ...Object.entries(sources).map(([id, { url }]) => [`source/${id}`, [address(url)]] as const),
    ...Object.entries(uplinks).map(
      ([id, entry]) => [`uplink/${id}`, 'url' in entry ? [address(entry.url)] : []] as const,
    ),
    ...Object.entries(outputSettings(config)).map(
      ([id, { url }]) => [`output/${id}`, url === undefined ? [] : [address(url)]] as const,
    ),
    ...(publish === undefined ? [] : [['publish', [address(publish.url)]] as const]),
    ...(sparkplug === undefined ? [] : [['sparkplug', [address(sparkplug.url)]] as const]),
  ];
}

const defaultPorts: Readonly<Record<string, string>> = {
  'mqtt:': '1883',
  'mqtts:': '8883',
  'ws:': '80',
  'http:': '80',
  'wss:': '443',
  'opc.tcp:': '4840',
  'https:': '443',
};

/** Returns host and port, or the path of a serial port. */
function address(url: string): string {
  const { protocol, hostname, port, pathname } = new URL(url);
  return hostname === ''
    ? pathname
    : `${hostname.toLowerCase()}:${port === '' ? (defaultPorts[protocol] ?? '502') : port}`;
}
