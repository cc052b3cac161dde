import * as z from 'zod';
import type { Output, OutputContext, OutputFactory, OutputKind } from '../contracts/outputs/output.ts';
import type { NotifyFactory, NotifyKind, NotifyTransport } from '../contracts/outputs/notify-channel.ts';
import type { Source, SourceContext, SourceFactory, SourceKind } from '../contracts/source.ts';
import type { Uplink, UplinkContext, UplinkFactory } from '../contracts/uplink.ts';
import { invariant } from '../platform/errors.ts';
import { emailKind } from '../notify/email/email-kind.ts';
import { webhookKind } from '../notify/webhook/webhook-kind.ts';
import type { Deps } from '../platform/deps.ts';
import { modbusOutputKind } from '../outputs/modbus/modbus-output-kind.ts';
import { mqttOutputKind } from '../outputs/mqtt/mqtt-output-kind.ts';
import { modbusKind } from '../sources/modbus/modbus-kind.ts';
import { mqttKind } from '../sources/mqtt/mqtt-kind.ts';
import { opcuaKind } from '../sources/opcua/opcua-kind.ts';
import { sparkplugKind } from '../sources/sparkplug/sparkplug-kind.ts';
import { httpUplinkKind } from '../uplinks/http/http-kind.ts';
import { influxUplinkKind } from '../uplinks/influx/influx-kind.ts';
import { mqttUplinkKind } from '../uplinks/mqtt/mqtt-kind.ts';
import { natsUplinkKind } from '../uplinks/nats/nats-kind.ts';
import { parquetUplinkKind } from '../uplinks/parquet/parquet-kind.ts';
import { postgresUplinkKind } from '../uplinks/postgres/postgres-kind.ts';

/*
 * Kinds of sources, uplinks, outputs and channels of notifications. A new kind is one folder and one line here. The line adds it to the configuration schema,
 * the generated docs and the contract tests.
 */
export const sourceKinds = [modbusKind, mqttKind, sparkplugKind, opcuaKind] as const;
export const uplinkKinds = [
  mqttUplinkKind,
  httpUplinkKind,
  natsUplinkKind,
  postgresUplinkKind,
  influxUplinkKind,
  parquetUplinkKind,
] as const;
export const outputKinds = [modbusOutputKind, mqttOutputKind] as const;
export const notifyKinds = [webhookKind, emailKind] as const;

/** Parsed configuration of a source of any kind. */
export type SourceConfig = ConfigOf<(typeof sourceKinds)[number]>;
/** Parsed configuration of an uplink of any kind. */
export type UplinkConfig = ConfigOf<(typeof uplinkKinds)[number]>;
/** Parsed configuration of an output of any kind. */
export type OutputConfig = ConfigOf<(typeof outputKinds)[number]>;
/** Parsed configuration of a channel of any kind. */
export type NotifyConfig = ConfigOf<(typeof notifyKinds)[number]>;

type ConfigOf<Kind extends { readonly schema: z.ZodType }> = z.infer<Kind['schema']>;

type AnySourceKind = SourceKind<SourceConfig>;

/** Returns the kind of a source, by its `type`. */
export function sourceKindOf(config: SourceConfig): AnySourceKind {
  return kindOf(sourceKinds, config.type);
}

/** Creates sources and uplinks of the kinds that were loaded. */
export type LoadedKinds = {
  createSource(context: SourceContext<SourceConfig>): Source;
  createUplink(context: UplinkContext<UplinkConfig>): Uplink;
};

/** Loads the code of all kinds, also of those that only a later configuration uses: to load them in a reload would delay scans. */
export async function loadKinds(): Promise<LoadedKinds> {
  const sources = await loaded<SourceFactory<SourceConfig>>(sourceKinds);
  const uplinks = await loaded<UplinkFactory<UplinkConfig>>(uplinkKinds);
  return {
    createSource: (context) => factoryOf(sources, context.config.type).create(context),
    createUplink: (context) => factoryOf(uplinks, context.config.type).create(context),
  };
}

/** Creates outputs. Their code is loaded when a configuration has the first of a kind: most agents have none. */
export class OutputFactories {
  readonly #factories = new Map<string, OutputFactory<OutputConfig>>();

  /** Loads the code of the outputs of a configuration. Call it before `create`. */
  async load(outputs: Readonly<Record<string, OutputConfig>>): Promise<void> {
    for (const { type } of Object.values(outputs))
      if (!this.#factories.has(type))
        this.#factories.set(type, await kindOf<OutputKind<OutputConfig>>(outputKinds, type).load());
  }

  create(context: OutputContext<OutputConfig>): Output {
    return factoryOf(this.#factories, context.config.type).create(context);
  }

  /** Creates a writer alone, for a test by a person. */
  writer(...[id, config, deps]: Parameters<OutputFactory<OutputConfig>['writer']>) {
    return factoryOf(this.#factories, config.type).writer(id, config, deps);
  }
}

/** Creates the transports of channels. Their code is loaded when a configuration has the first of a kind. */
export class NotifyFactories {
  readonly #factories = new Map<string, NotifyFactory<NotifyConfig>>();

  /** Loads the code of the channels of a configuration. Call it before `transport`. */
  async load(channels: Readonly<Record<string, NotifyConfig>>): Promise<void> {
    for (const { type } of Object.values(channels))
      if (!this.#factories.has(type))
        this.#factories.set(type, await kindOf<NotifyKind<NotifyConfig>>(notifyKinds, type).load());
  }

  transport(config: NotifyConfig, deps: Deps): NotifyTransport {
    return factoryOf(this.#factories, config.type).transport(config, deps);
  }
}

/** Returns one schema for all kinds, which differ by `type`. */
export function schemaOfKinds<Kind extends { readonly schema: z.ZodType }>(kinds: readonly Kind[]) {
  // The schema of every kind is an object with a literal `type`; the common type of the kinds does not express this.
  const schemas = kinds.map(({ schema }) => schema as unknown as TypedObject);
  const [first, ...others] = schemas;
  invariant(first !== undefined, 'There is at least one kind');
  return z.discriminatedUnion('type', [first, ...others]) as unknown as z.ZodType<ConfigOf<Kind>>;
}

type TypedObject = z.ZodObject<{ type: z.ZodLiteral<string> }>;

function kindOf<Kind extends { readonly type: string }>(kinds: readonly Kind[], type: string): Kind {
  const kind = kinds.find((candidate) => candidate.type === type);
  invariant(kind !== undefined, `The schema accepted the type '${type}', which no kind has`);
  return kind;
}

async function loaded<Factory>(
  kinds: readonly { readonly type: string; load(): Promise<Factory> }[],
): Promise<ReadonlyMap<string, Factory>> {
  return new Map(await Promise.all(kinds.map(async (kind) => [kind.type, await kind.load()] as const)));
}

function factoryOf<Factory>(factories: ReadonlyMap<string, Factory>, type: string): Factory {
  const factory = factories.get(type);
  invariant(factory !== undefined, `The kind '${type}' is not loaded`);
  return factory;
}
