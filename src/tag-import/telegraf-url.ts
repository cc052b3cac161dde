/** Address of a device; `reason` and `remedy` if it has none here. */
export type TelegrafUrl = {
  readonly url: string | undefined;
  readonly reason?: string;
  readonly remedy?: string;
};

const parities: Readonly<Record<string, string>> = { N: 'none', E: 'even', O: 'odd' };

/** Returns the url of the device of `[[inputs.modbus]]`. */
export function telegrafUrl(plugin: Readonly<Record<string, unknown>>): TelegrafUrl {
  const controller = textOf(plugin['controller']);
  const mode = textOf(plugin['transmission_mode']).toLowerCase();
  const [, host] = /^tcp:\/\/([^/${}]+)\/?$/.exec(controller) ?? [];
  const [, path] = /^file:\/\/(\/[^${}]*)$/.exec(controller) ?? [];
  const remedy = 'set the url of the source, such as tcp://10.0.0.7:502 or serial:///dev/ttyUSB0';
  if (host !== undefined) {
    const scheme = { rtuovertcp: 'rtu+tcp', asciiovertcp: 'ascii+tcp' }[mode] ?? 'tcp';
    return { url: `${scheme}://${host}` };
  }
  if (path === undefined) return { url: undefined, reason: 'this is not an address that andon can open', remedy };
  const isAscii = mode === 'ascii';
  const dataBits = plugin['data_bits'];
  if (!isAscii && dataBits !== undefined && Number(dataBits) !== 8)
    return { url: undefined, reason: 'RTU has 8 data bits', remedy: 'correct data_bits' };
  const parameters = Object.entries({
    baudRate: plugin['baud_rate'],
    parity: parities[textOf(plugin['parity']).toUpperCase()],
    stopBits: plugin['stop_bits'],
    dataBits: isAscii ? dataBits : undefined,
  }).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${textOf(value)}`]));
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return { url: `${isAscii ? 'ascii+serial' : 'serial'}://${path}${query}` };
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
