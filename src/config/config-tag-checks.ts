import type { Tag } from '../domain/sample/tag.ts';
import { endpointName, parseModbusUrl } from '../sources/modbus/frame/modbus-url.ts';
import type { CheckContext, Finding } from './config-finding.ts';
import { error, warning } from './config-finding.ts';
import { isTopicSafeName, NAME_EXPECTED } from './config-schema.ts';

/** Tags: one name for one value, a name that can be a topic, and bounds that a value can be within. */
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
  const first = new Map<string, string>();
  return declaredTags.flatMap(({ name, source }) => {
    const path = ['sources', source, 'tags', name];
    const findings = isTopicSafeName(name) ? [] : [error(path, NAME_EXPECTED, 'key')];
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, source);
    else
      findings.push(
        error(path, `source '${earlier}' has a tag of this name already: names must differ over all sources`, 'key'),
      );
    return findings;
  });
}

function boundFindings({ name, source, pattern, range, deadband }: Tag): readonly Finding[] {
  // The bounds of a pattern are checked where it is described.
  if (range === undefined || pattern !== undefined) return [];
  const path = ['sources', source, 'tags', name];
  const [min, max] = range;
  if (min >= max)
    return [error([...path, 'range'], `expected [smallest, largest], found [${min}, ${max}]: no value lies within`)];
  if (deadband < max - min) return [];
  const width = `the range is only ${max - min} wide`;
  return [error([...path, 'deadband'], `${deadband} is too large: ${width}, so no change would ever be reported`)];
}

/** How manuals number registers (Modicon): the digit in front is the kind, and they count from 1. */
const MODICON_FROM: Readonly<Record<string, number>> = { holding: 40_001, input: 30_001, discrete: 10_001 };
const MODICON_COUNT = 9_999;

function addressFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.sources ?? {}).flatMap(([source, entry]) => {
    if (entry.type !== 'modbus') return [];
    return Object.entries(entry.tags).flatMap(([name, { register, address }]) => {
      const from = register === undefined ? undefined : MODICON_FROM[register];
      if (from === undefined || address < from || address >= from + MODICON_COUNT) return [];
      const path = ['sources', source, 'tags', name, 'address'];
      const meant = `a manual's ${address} is ${register} address ${address - from} here, as on the wire`;
      return [warning(path, `${address} looks like a number from a manual: ${meant}`)];
    });
  });
}

function sameUnitFindings({ config }: CheckContext): readonly Finding[] {
  const first = new Map<string, string>();
  return Object.entries(config.sources ?? {}).flatMap(([source, entry]) => {
    if (entry.type !== 'modbus') return [];
    const unit = `${endpointName(parseModbusUrl(entry.url))} ${entry.unitId}`;
    const earlier = first.get(unit);
    if (earlier === undefined) first.set(unit, source);
    const where = `unit ${entry.unitId} at ${entry.url}`;
    if (earlier === undefined) return [];
    return [
      warning(
        ['sources', source],
        `source '${earlier}' reads ${where}, too: one source with both lists of tags needs fewer reads`,
        'key',
      ),
    ];
  });
}

/** A broker that keeps messages sends old values as if they were new; only a time in them tells. */
function keptMessageFindings({ config }: CheckContext): readonly Finding[] {
  return Object.entries(config.sources ?? {}).flatMap(([source, entry]) => {
    if (entry.type !== 'mqtt' || entry.cleanSession) return [];
    const untimed = [...Object.entries(entry.tags), ...Object.entries(entry.patterns)]
      .filter(([, { format, time, qos }]) => format === 'paths' && time === undefined && qos === 1)
      .map(([name]) => name);
    if (untimed.length === 0) return [];
    const others = untimed.length === 1 ? '' : ` and ${untimed.length - 1} more`;
    const why = 'what the broker keeps while andon is away would pass for values of the moment it comes';
    return [
      warning(
        ['sources', source, 'cleanSession'],
        `${untimed[0]}${others} without a time: ${why}; say where the time is, or read with qos: 0, which it does not keep`,
      ),
    ];
  });
}
