import { nameSome } from '../domain/name-list.ts';
import { HEARTBEAT_MAX } from '../domain/output/output-schedule.ts';
import { linkProblem } from '../outputs/modbus/modbus-output-config.ts';
import { withSource } from '../outputs/modbus/modbus-target.ts';
import { rulesOf } from '../outputs/output-condition.ts';
import { endpointName, parseModbusUrl } from '../protocols/modbus/modbus-url.ts';
import { matchesTopicFilter, parseTopicFilter } from '../protocols/mqtt/mqtt-topic-filter.ts';
import { planScanClasses } from '../sources/modbus/plan/scan-plan.ts';
import { parseTopicPattern, topicFilterOf } from '../sources/mqtt/topic-pattern.ts';
import { type CheckContext, error, type Finding, modbusSources, warning } from './config-finding.ts';
import type { OutputConfig } from './kinds.ts';

type CheckedSource = NonNullable<CheckContext['config']['sources']>[string];
type Entry = readonly [id: string, output: OutputConfig];

/** Addresses that are read or written, and by what. */
type Use = { readonly by: string; readonly place: string } & (
  | { readonly first: number; readonly last: number }
  /** Topic of an output, or filter of a source. */
  | { readonly topic: string }
);

/** Checks the outputs: what they follow exists, their safe value differs, and each has an address of its own. */
export function outputFindings(context: CheckContext): readonly Finding[] {
  const { outputs = {} } = context.config;
  const entries = Object.entries(outputs).map(([id, output]): Entry => [id, withDevice(output, context)]);
  return [
    ...entries.flatMap((entry) => [
      ...sourceFindings(entry, context),
      ...followFindings(entry, context),
      ...valueFindings(entry),
    ]),
    ...addressFindings(entries, context),
  ];
}

function withDevice(output: OutputConfig, context: CheckContext): OutputConfig {
  return output.type === 'modbus' ? withSource(output, Object.fromEntries(modbusSources(context))) : output;
}

function sourceFindings([id, output]: Entry, context: CheckContext): readonly Finding[] {
  if (output.type !== 'modbus') return [];
  const sources = modbusSources(context);
  const at = (key: string) => ['outputs', id, key];
  if (output.source !== undefined) {
    if (context.config.sources === undefined) return [];
    const source = sources.find(([name]) => name === output.source)?.[1];
    if (source === undefined) {
      const known = sources.length === 0 ? 'there is none' : `expected ${nameSome(sources.map(([name]) => name))}`;
      return [error(at('source'), `there is no Modbus source '${output.source}': ${known}`)];
    }
    const problem = linkProblem(source.url);
    if (problem !== undefined) return [error(at('source'), problem)];
  }
  if (output.url === undefined) return [];
  const endpoint = parseModbusUrl(output.url);
  const reader = sources.find(([, { url }]) => endpointName(parseModbusUrl(url)) === endpointName(endpoint));
  if (endpoint.medium !== 'serial' || reader === undefined) return [];
  const why = `a serial line has one master, and source '${reader[0]}' reads on it`;
  return [
    error(at(output.source === undefined ? 'url' : 'source'), `${why}: use a Modbus gateway, or a line of its own`),
  ];
}

/** Checks the names of watches and alarms. */
function followFindings([id, { on }]: Entry, { config, declaredNames }: CheckContext): readonly Finding[] {
  const known = config.watches === undefined ? undefined : Object.keys(config.watches);
  const unknown = (name: string) => known !== undefined && !known.includes(name);
  const named = [
    ...on.watches.map((name, index) => [['watches', index], name] as const),
    ...(on.monitoring ?? []).map((name, index) => [['monitoring', index], name] as const),
  ];
  return [
    ...named
      .filter(([, name]) => unknown(name))
      .map(([path, name]) => error(['outputs', id, 'on', ...path], `there is no watch '${name}'`)),
    ...on.alarms.flatMap((alarm, index) => {
      const problem = alarmProblem(alarm, unknown, declaredNames);
      return problem === undefined ? [] : [error(['outputs', id, 'on', 'alarms', index], problem)];
    }),
  ];
}

/** Returns what is wrong with the id of an alarm; undefined if it may exist. */
export function alarmProblem(
  alarm: string,
  isUnknownWatch: (name: string) => boolean,
  tags: ReadonlySet<string>,
): string | undefined {
  const [kind, name = ''] = alarm.split('/');
  if (!['watch', 'limit', 'diagnostic'].includes(kind?.replace('*', '') ?? '') && alarm !== '*')
    return `'${alarm}' is not the id of an alarm: expected watch/ID, limit/TAG/LEVEL or diagnostic/KIND/ID`;
  if (name.endsWith('*') || alarm.endsWith('*') || name === '') return undefined;
  if (kind === 'watch' && isUnknownWatch(name)) return `there is no watch '${name}'`;
  return kind === 'limit' && !tags.has(name) ? `there is no tag '${name}'` : undefined;
}

function valueFindings([id, output]: Entry): readonly Finding[] {
  const rules = rulesOf(output);
  const { on } = output;
  const at = (...path: string[]) => ['outputs', id, ...path];
  const findings: Finding[] = [];
  if (on.heartbeatMs !== undefined) {
    const safe = Number(rules.safe);
    if (safe >= 1 && safe <= HEARTBEAT_MAX)
      findings.push(
        error(at('safe'), `${rules.safe} is also a count of the heartbeat: expected 0, which it never counts`),
      );
  } else if (rules.safe === (on.monitoring === undefined ? rules.values.off : rules.values.on)) {
    const shown = on.monitoring === undefined ? "'no alarm'" : "'andon judges'";
    const why = `a person cannot tell from it that andon is blind or stopped`;
    findings.push(warning(at('safe'), `the safe value is the same as for ${shown}: ${why}`));
  }
  const changeMs = on.heartbeatMs ?? output.blinkMs;
  if (changeMs !== undefined && changeMs < output.rateLimitMs)
    findings.push(
      error(at('rateLimit'), `must not be longer than ${on.heartbeatMs === undefined ? 'blink' : 'on.heartbeat'}`),
    );
  if (output.retry.firstMs > output.retry.maxMs)
    findings.push(error(at('retry', 'max'), 'must not be less than first'));
  return findings;
}

function addressFindings(entries: readonly Entry[], context: CheckContext): readonly Finding[] {
  const used = [...tagUses(context)];
  const findings: Finding[] = [];
  for (const [id, output] of entries) {
    const own = useOf(id, output);
    if (own === undefined) continue;
    const other = used.find((use) => use.place === own.place && overlaps(use, own));
    const path = output.type === 'modbus' ? ['outputs', id, 'write'] : ['outputs', id, 'topic'];
    if (other !== undefined)
      findings.push(error(path, `${other.by} uses the same address: an output needs an address of its own`));
    used.push(own);
  }
  return findings;
}

/** True if the address that an output writes belongs to another use of the same device or broker. */
function overlaps(other: Use, own: Use): boolean {
  if ('topic' in other)
    return 'topic' in own && matchesTopicFilter(parseTopicFilter(other.topic), own.topic.split('/'));
  return !('topic' in own) && other.first <= own.first && own.first <= other.last;
}

function useOf(id: string, output: OutputConfig): Use | undefined {
  const by = `output '${id}'`;
  if (output.type === 'mqtt') return { place: brokerOf(output.url), topic: output.topic, by };
  const { url, unitId = 1, write } = output;
  if (url === undefined) return undefined;
  const address = write.coil ?? write.register ?? 0;
  return { place: modbusPlace(url, unitId, write.coil === undefined ? 3 : 1), first: address, last: address, by };
}

function tagUses(context: CheckContext): readonly Use[] {
  const { sources = {} } = context.config;
  return Object.entries(sources).flatMap(([source, config]): readonly Use[] => {
    if (config.type === 'modbus')
      return planScanClasses(config).flatMap(({ blocks }) =>
        blocks.flatMap(({ items, functionCode }) =>
          items.map(({ name, address, width }) => ({
            place: modbusPlace(config.url, config.unitId, functionCode),
            first: address,
            last: address + width - 1,
            by: `tag '${name}'`,
          })),
        ),
      );
    return topicUses(source, config);
  });
}

/** Returns the topics that a source reads from a broker. */
function topicUses(source: string, config: CheckedSource): readonly Use[] {
  const by = `source '${source}'`;
  if (config.type === 'sparkplug') return [{ place: brokerOf(config.url), topic: 'spBv1.0/#', by }];
  if (config.type !== 'mqtt') return [];
  const place = brokerOf(config.url);
  return [
    ...Object.entries(config.tags).map(([name, { topic }]) => ({ place, topic, by: `tag '${name}' of ${by}` })),
    ...Object.entries(config.patterns).map(([name, { topic }]) => ({
      place,
      topic: topicFilterOf(parseTopicPattern(topic) ?? []),
      by: `pattern '${name}' of ${by}`,
    })),
  ];
}

function modbusPlace(url: string, unitId: number, functionCode: number): string {
  return `${endpointName(parseModbusUrl(url))} ${unitId} ${functionCode}`;
}

const BROKER_PORTS: Readonly<Record<string, string>> = {
  'mqtt:': '1883',
  'mqtts:': '8883',
  'ws:': '80',
  'wss:': '443',
};

function brokerOf(url: string): string {
  const { protocol = '', hostname = url, port = '' } = URL.parse(url) ?? {};
  return `${hostname}:${port === '' ? BROKER_PORTS[protocol] : port}`;
}
