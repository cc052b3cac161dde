import type { Tag } from '../domain/sample/tag.ts';
import { endpointName, parseModbusUrl } from '../protocols/modbus/modbus-url.ts';
import {
  type CheckContext,
  type DeclaredTag,
  duplicates,
  error,
  type Finding,
  type ModbusConfig,
  modbusSources,
  tagPath,
  warning,
} from './config-finding.ts';
import { DERIVED } from './config-tags.ts';
import { isTopicSafeName, NAME_EXPECTED } from './config-schema.ts';

/** Checks the tags: unique names that can be MQTT topic levels, and plausible limits. */
export function tagFindings(context: CheckContext): readonly Finding[] {
  return [
    ...nameFindings(context),
    ...[...context.tags.values()].flatMap(boundFindings),
    ...addressFindings(context),
    ...sameUnitFindings(context),
    ...keptMessageFindings(context),
  ];
}

function nameFindings({ declaredTags }: CheckContext): readonly Finding[] {
  const invalid = declaredTags.filter(({ name }) => !isTopicSafeName(name));
  return [
    ...invalid.map((tag) => error(tag.path, NAME_EXPECTED, 'key')),
    ...duplicates(declaredTags, ({ name }) => name).map(({ item, first }) =>
      error(item.path, `${ownerOf(first)} already has a tag of this name: tag names must be unique`, 'key'),
    ),
  ];
}

function ownerOf({ source }: DeclaredTag): string {
  return source === DERIVED ? 'derived' : `source '${source}'`;
}

function boundFindings({ name, source, pattern, range, deadband }: Tag): readonly Finding[] {
  // A tag of a pattern has no path of its own in the file.
  if (range === undefined || pattern !== undefined) return [];
  const path = tagPath({ name, source });
  const [min, max] = range;
  if (deadband < max - min) return [];
  const width = `the range is only ${max - min} wide`;
  return [error([...path, 'deadband'], `${deadband} is too large: ${width}, so no change would ever be reported`)];
}

/** Register numbers in manuals (Modicon): the first digit is the address space, and they count from 1. */
const MODICON_FROM: Readonly<Record<string, number>> = { holding: 40_001, input: 30_001, discrete: 10_001 };
const MODICON_COUNT = 9_999;

/** Returns the space and the address on the wire of a number from a manual. */
function modiconPlace(address: number): { readonly kind: string; readonly onTheWire: number } | undefined {
  const [kind, from] = Object.entries(MODICON_FROM).find(([, first]) => isWithin(address, first)) ?? [];
  return kind === undefined || from === undefined ? undefined : { kind, onTheWire: address - from };
}

function isWithin(address: number, from: number): boolean {
  return address >= from && address < from + MODICON_COUNT;
}

function addressFindings(context: CheckContext): readonly Finding[] {
  return modbusSources(context).flatMap(([source, { tags, addressBase }]) =>
    Object.entries(tags).flatMap(([name, { register, address }]) => {
      const text = context.textAt([...tagPath({ name, source }), 'address']) ?? '';
      const isDecimal = !/^0[xo]/i.test(text);
      if (register === undefined && !isDecimal) {
        const why = `${text} is ${address}, and without a register it would be the number of a manual, which is decimal`;
        const path = [...tagPath({ name, source }), 'address'];
        return [error(path, `${why}; add register: holding, input, coil or discrete`)];
      }
      const place = register === undefined || !isDecimal ? undefined : modiconPlace(address);
      if (place === undefined) return [];
      const path = [...tagPath({ name, source }), 'address'];
      const meant = `${address} in a manual is ${place.kind} address ${place.onTheWire} on the wire`;
      const remedy =
        place.kind === register
          ? `write address: ${place.onTheWire + addressBase}, or leave register out`
          : `this reads ${register} address ${address}; leave register out if the number is from a manual`;
      return [warning(path, `${address} looks like a number from a manual: ${meant}; ${remedy}`)];
    }),
  );
}

function sameUnitFindings(context: CheckContext): readonly Finding[] {
  const unit = ([, { url, unitId }]: readonly [string, ModbusConfig]) =>
    `${endpointName(parseModbusUrl(url))} ${unitId}`;
  return duplicates(modbusSources(context), unit).map(({ item: [id, { url, unitId }], first: [firstId] }) => {
    const message = `source '${firstId}' also reads unit ${unitId} at ${url}: one source with all tags needs fewer reads`;
    return warning(['sources', id], message, 'key');
  });
}

/** A broker that stores messages delivers old values later. Only a time in the payload shows their age. */
function keptMessageFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.sources ?? {}).flatMap(([source, entry]) => {
    if (entry.type !== 'mqtt' || entry.cleanSession) return [];
    const untimed = [...Object.entries(entry.tags), ...Object.entries(entry.patterns)]
      .filter(([, { format, time, qos }]) => format === 'paths' && time === undefined && qos === 1)
      .map(([name]) => name);
    if (untimed.length === 0) return [];
    const names = untimed.length === 1 ? `${untimed[0]} has` : `${untimed[0]} and ${untimed.length - 1} more have`;
    const why = 'a message that the broker stores while andon is disconnected would count as a new value';
    return [
      warning(
        ['sources', source, 'cleanSession'],
        `${names} no time: ${why}; set time, or qos: 0, which the broker does not store`,
      ),
    ];
  });
}
