import * as z from 'zod';
import type { Source, SourceContext, SourceKind } from '../contracts/source.ts';
import type { Uplink, UplinkContext, UplinkKind } from '../contracts/uplink.ts';
import type { RecordKind } from '../domain/record/record.ts';
import { invariant } from '../platform/errors.ts';
import { modbusKind } from '../sources/modbus/modbus-kind.ts';
import { mqttKind } from '../sources/mqtt/mqtt-kind.ts';
import { sparkplugKind } from '../sources/sparkplug/sparkplug-kind.ts';
import { httpUplinkKind } from '../uplinks/http/http-kind.ts';
import { mqttUplinkKind } from '../uplinks/mqtt/mqtt-kind.ts';

/*
 * What andon can talk to. A new kind is one file and one line here: that line enrols it in the configuration's schema,
 * in the generated docs and in the contract tests.
 */
export const sourceKinds = [modbusKind, mqttKind, sparkplugKind] as const;
export const uplinkKinds = [mqttUplinkKind, httpUplinkKind] as const;

/** Configuration of a source, after parsing, whatever its kind. */
export type SourceConfig = ConfigOf<(typeof sourceKinds)[number]>;
/** Configuration of an uplink, after parsing, whatever its kind. */
export type UplinkConfig = ConfigOf<(typeof uplinkKinds)[number]>;

type ConfigOf<Kind extends { readonly schema: z.ZodType }> = z.infer<Kind['schema']>;

type AnySourceKind = SourceKind<SourceConfig>;
type AnyUplinkKind = UplinkKind<UplinkConfig>;

/** The kind that a source's `type` names. */
export function sourceKindOf(config: SourceConfig): AnySourceKind {
  return kindOf(sourceKinds, config.type);
}

/** The kind that an uplink's `type` names. */
function uplinkKindOf(config: UplinkConfig): AnyUplinkKind {
  return kindOf(uplinkKinds, config.type);
}

/** A source of whatever kind its `type` names. */
export function createSource(context: SourceContext<SourceConfig>): Source {
  return sourceKindOf(context.config).create(context);
}

/** An uplink of whatever kind its `type` names. */
export function createUplink(context: UplinkContext<UplinkConfig>): Uplink {
  return uplinkKindOf(context.config).create(context);
}

/** Kinds of records that an uplink sends, so that the outbox keeps them until it has. */
export function uplinkKindsWanted(config: UplinkConfig): readonly RecordKind[] {
  return config.records;
}

/** One schema for all kinds, told apart by `type`. */
export function schemaOfKinds<Kind extends { readonly schema: z.ZodType }>(kinds: readonly Kind[]) {
  // Every kind's schema is an object with a literal `type`, which the kinds' common type does not say.
  const schemas = kinds.map(({ schema }) => schema as unknown as TypedObject);
  const [first, ...others] = schemas;
  invariant(first !== undefined, 'There is at least one kind');
  return z.discriminatedUnion('type', [first, ...others]) as unknown as z.ZodType<ConfigOf<Kind>>;
}

type TypedObject = z.ZodObject<{ type: z.ZodLiteral<string> }>;

function kindOf<Kind extends { readonly type: string }>(kinds: readonly Kind[], type: string): Kind {
  const kind = kinds.find((candidate) => candidate.type === type);
  invariant(kind !== undefined, `The schema lets no type but those of the kinds through, and '${type}' is none`);
  return kind;
}
