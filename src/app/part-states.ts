import type { AgentConfig } from '../config/config-schema.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { ComponentStatus } from '../platform/health.ts';

/** State of a part: 'starts' until there is a result. The reason comes from its health; undefined if it reports none. */
export type PartState = { readonly state: 'works' | 'starts' | 'fails'; readonly reason?: string };

const worst = ['fails', 'starts', 'works'] as const;

/**
 * Returns the state of each part of the agent, by its key in the configuration. A part works if its health is ok. A watch
 * works if its model is loaded, or is being learned. A source also works while it delivers values, although its health
 * may report single tags.
 *
 * @param delivering Sources with a good value.
 */
export function partStates(
  config: AgentConfig,
  components: readonly ComponentStatus[],
  delivering: ReadonlySet<string>,
): ReadonlyMap<string, PartState> {
  const byName = new Map(components.map((component) => [component.name, stateOf(component)]));
  return new Map(
    Object.entries(componentsOf(config)).map(([key, names]) => {
      if (key.startsWith('sources.') && delivering.has(key.slice('sources.'.length))) return [key, { state: 'works' }];
      const states = names.flatMap((name) => byName.get(name) ?? []);
      const found = worst.flatMap((state) => states.find((each) => each.state === state) ?? [])[0];
      return [key, found ?? { state: 'starts' }];
    }),
  );
}

/** Returns the health components of each part. */
function componentsOf(config: AgentConfig): Readonly<Record<string, readonly string[]>> {
  const { sources, watches, uplinks, outputs, notify } = config;
  return {
    ...Object.fromEntries(Object.keys(sources).map((id) => [`sources.${id}`, [`source/${id}`]])),
    ...Object.fromEntries(
      Object.entries(watches).map(([id, { model }]) => [`watches.${id}`, [`model/${formatModelReference(model)}`]]),
    ),
    ...Object.fromEntries(Object.keys(uplinks).map((id) => [`uplinks.${id}`, [`uplink/${id}`]])),
    ...Object.fromEntries(Object.keys(outputs).map((id) => [`outputs.${id}`, [`output/${id}`]])),
    ...Object.fromEntries(Object.keys(notify).map((id) => [`notify.${id}`, [`notify/${id}`]])),
    http: ['http'],
    ...(config.publish === undefined ? {} : { publish: ['publish'] }),
    ...(config.sparkplug === undefined ? {} : { sparkplug: ['sparkplug'] }),
    serving: ['serving', 'serving/http'],
  };
}

function stateOf({ status, reason }: ComponentStatus): PartState {
  switch (status) {
    case 'ok':
      return { state: 'works', reason };
    case 'starting':
      return { state: 'starts', reason };
    case 'degraded':
    case 'failed':
      return { state: 'fails', reason };
  }
}
