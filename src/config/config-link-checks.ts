import { formatDuration } from '../domain/duration.ts';
import { endpointName, type ModbusEndpoint, parseModbusUrl } from '../protocols/modbus/modbus-url.ts';
import {
  type CheckContext,
  duplicates,
  error,
  type Finding,
  type ModbusConfig,
  modbusSources,
} from './config-finding.ts';

type Setting = { readonly path: readonly string[]; readonly name: string; readonly value: string };

/** Checks that sources with the same Modbus address agree on the settings of the connection, which they share. */
export function linkFindings(context: CheckContext): readonly Finding[] {
  const endpointOf = ({ url }: ModbusConfig) => endpointName(parseModbusUrl(url));
  return duplicates(modbusSources(context), ([, source]) => endpointOf(source)).flatMap(({ item, first }) => {
    const [id, source] = item;
    const [firstId, firstSource] = first;
    const expected = linkSettings(firstSource);
    return linkSettings(source).flatMap(({ path, name, value }, index) => {
      const other = expected[index]?.value;
      if (other === value) return [];
      const why = `both share one connection to ${endpointOf(source)}, and ${name} is ${other} there`;
      return [error(['sources', id, ...path], `${value} differs from source '${firstId}': ${why}`)];
    });
  });
}

/** Settings of the connection. The response timeout is not among them: each read has its own. */
function linkSettings(source: ModbusConfig): readonly Setting[] {
  const { url, connectTimeoutMs, reconnect, pauseBetweenRequestsMs, pauseAfterConnectMs } = source;
  const { closeAfterScan, framing, transactionId, rs485, tls } = source;
  const endpoint = parseModbusUrl(url);
  const isSerial = endpoint.medium === 'serial';
  const own = (key: string, value: string): Setting => ({ path: [key], name: key, value });
  return [
    { path: ['url'], name: 'the framing', value: framingName(endpoint) },
    { path: ['url'], name: 'baudRate', value: String(endpoint.baudRate ?? 'unknown') },
    { path: ['url'], name: 'parity', value: isSerial ? endpoint.parity : 'none' },
    { path: ['url'], name: 'stopBits', value: isSerial ? String(endpoint.stopBits) : '1' },
    { path: ['reconnect'], name: 'reconnect.first', value: formatDuration(reconnect.firstMs) },
    { path: ['reconnect'], name: 'reconnect.max', value: formatDuration(reconnect.maxMs) },
    own('connectTimeout', formatDuration(connectTimeoutMs)),
    own('pauseBetweenRequests', formatDuration(pauseBetweenRequestsMs)),
    own('pauseAfterConnect', formatDuration(pauseAfterConnectMs)),
    own('closeAfterScan', String(closeAfterScan)),
    own('tls', JSON.stringify(tls ?? 'none')),
    own('rs485', JSON.stringify(rs485 ?? 'none')),
    own('framing', framing),
    own('transactionId', transactionId),
  ];
}

function framingName(endpoint: ModbusEndpoint): string {
  switch (endpoint.framing) {
    case 'mbap':
      return endpoint.medium === 'tcp' && endpoint.tls ? 'Modbus/TCP Security' : 'Modbus TCP';
    case 'rtu':
      return 'RTU';
    case 'ascii':
      return 'ASCII';
  }
}
