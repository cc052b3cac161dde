import * as z from 'zod';
import type { Source, SourceContext, SourceKind } from '../contracts/source.ts';
import type { Uplink, UplinkContext, UplinkKind } from '../contracts/uplink.ts';
import { invariant } from '../platform/errors.ts';
import { modbusKind } from '../sources/modbus/modbus-kind.ts';
import { mqttKind } from '../sources/mqtt/mqtt-kind.ts';
import { sparkplugKind } from '../sources/sparkplug/sparkplug-kind.ts';
import { httpUplinkKind } from '../uplinks/http/http-kind.ts';
import { mqttUplinkKind } from '../uplinks/mqtt/mqtt-kind.ts';

/*
 * Kinds of sources and uplinks. A new kind is one folder and one line here. The line adds it to the configuration schema,
 * the generated docs and the contract tests.
 */
export const sourceKinds = [modbusKind, mqttKind, sparkplugKind] as const;
export const uplinkKinds = [mqttUplinkKind, httpUplinkKind] as const;

/** Parsed configuration of a source of any kind. */
export type SourceConfig = ConfigOf<(typeof sourceKinds)[number]>;
/** Parsed configuration of an uplink of any kind. */
export type UplinkConfig = ConfigOf<(typeof uplinkKinds)[number]>;

type ConfigOf<Kind extends { readonly schema: z.ZodType }> = z.infer<Kind['schema']>;

type AnySourceKind = SourceKind<SourceConfig>;
type AnyUplinkKind = UplinkKind<UplinkConfig>;

/** Returns the kind of a source, by its `type`. */
export function sourceKindOf(config: SourceConfig): AnySourceKind {
  return kindOf(sourceKinds, config.type);
}

/** Creates a source of the kind that its `type` names. */
export function createSource(context: SourceContext<SourceConfig>): Source {
  return sourceKindOf(context.config).create(context);
}

/** Creates an uplink of the kind that its `type` names. */
export function createUplink(context: UplinkContext<UplinkConfig>): Uplink {
  return kindOf<AnyUplinkKind>(uplinkKinds, context.config.type).create(context);
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
