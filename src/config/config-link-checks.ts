import { formatDuration } from '../domain/duration.ts';
import { endpointName, parseModbusUrl } from '../sources/modbus/frame/modbus-url.ts';
import type { CheckContext, Finding } from './config-finding.ts';
import { error } from './config-finding.ts';
import type { SourceConfig } from './kinds.ts';

type ModbusConfig = Extract<SourceConfig, { type: 'modbus' }>;
type Setting = { readonly path: readonly string[]; readonly name: string; readonly value: string };

/** Sources that name the same Modbus device or line share one connection, which has each of its settings once. */
export function linkFindings({ config }: CheckContext): readonly Finding[] {
  const first = new Map<string, { readonly source: string; readonly config: ModbusConfig }>();
  return Object.entries(config.sources ?? {}).flatMap(([source, entry]) => {
    if (entry.type !== 'modbus') return [];
    const end = endpointName(parseModbusUrl(entry.url));
    const earlier = first.get(end);
    if (earlier === undefined) {
      first.set(end, { source, config: entry });
      return [];
    }
    const wanted = linkSettings(earlier.config);
    return linkSettings(entry).flatMap(({ path, name, value }, index) => {
      const other = wanted[index]?.value;
      if (other === value) return [];
      const why = `the two share the one connection to ${end}, and ${name} is ${other} there`;
      return [error(['sources', source, ...path], `${value} differs from source '${earlier.source}': ${why}`)];
    });
  });
}

/** What a connection has once. How long an answer is waited for is each read's own. */
function linkSettings({ url, connectTimeoutMs, reconnect, pauseBetweenRequestsMs }: ModbusConfig): readonly Setting[] {
  const endpoint = parseModbusUrl(url);
  const isSerial = endpoint.medium === 'serial';
  return [
    { path: ['url'], name: 'the framing', value: endpoint.framing === 'rtu' ? 'RTU' : 'Modbus TCP' },
    { path: ['url'], name: 'baudRate', value: String(endpoint.baudRate ?? 'unknown') },
    { path: ['url'], name: 'parity', value: isSerial ? endpoint.parity : 'none' },
    { path: ['url'], name: 'stopBits', value: isSerial ? String(endpoint.stopBits) : '1' },
    { path: ['connectTimeout'], name: 'connectTimeout', value: formatDuration(connectTimeoutMs) },
    { path: ['reconnect'], name: 'reconnect.first', value: formatDuration(reconnect.firstMs) },
    { path: ['reconnect'], name: 'reconnect.max', value: formatDuration(reconnect.maxMs) },
    {
      path: ['pauseBetweenRequests'],
      name: 'pauseBetweenRequests',
      value: formatDuration(pauseBetweenRequestsMs),
    },
  ];
}
