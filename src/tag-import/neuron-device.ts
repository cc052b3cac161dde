type Params = Readonly<Record<string, unknown>>;

/** Keys of a source, or the reason why there is no url. */
export type NeuronDevice = { readonly keys: Record<string, unknown>; readonly problem: string | undefined };

/** Numbers of the setting baud. */
const baudRates = [115_200, 57_600, 38_400, 19_200, 9600, 4800, 2400, 1800, 1200, 600, 300, 200, 150];
const parities = ['none', 'odd', 'even'];

/** Returns the keys of a source for the parameters of a Modbus device of Neuron. */
export function neuronDevice(plugin: string, params: Params): NeuronDevice {
  const isRtu = /rtu/i.test(plugin);
  const isSerial = isRtu && Number(params['link'] ?? 1) === 0;
  const isServer = Number(params['connection_mode'] ?? 0) === 1;
  const isUdp = Number(params['transport_mode'] ?? 0) === 1;
  const keys = {
    ...(isSerial ? serialKeys(params) : { url: networkUrl(isRtu, params) }),
    timeout: milliseconds(params['timeout']),
    retries: params['max_retries'],
    pauseBetweenRequests: milliseconds(params['interval']),
  };
  if (!isSerial && isServer)
    return { keys: { ...keys, url: undefined }, problem: 'the device connects to Neuron; andon connects to devices' };
  if (!isSerial && isUdp) return { keys: { ...keys, url: undefined }, problem: 'andon has no Modbus over UDP' };
  if (keys.url === undefined) return { keys, problem: 'the settings have no address' };
  return { keys, problem: undefined };
}

function networkUrl(isRtu: boolean, { host, port }: Params): string | undefined {
  if (typeof host !== 'string' || host === '') return undefined;
  return `${isRtu ? 'rtu+tcp' : 'tcp'}://${host}:${Number(port ?? 502)}`;
}

function serialKeys({ device, baud, parity, stop }: Params): { url: string | undefined } {
  if (typeof device !== 'string' || device === '') return { url: undefined };
  const settings = [
    `baudRate=${baudRates[Number(baud)] ?? 9600}`,
    `parity=${parities[Number(parity)] ?? 'none'}`,
    `stopBits=${Number(stop) === 1 ? 2 : 1}`,
  ];
  return { url: `serial://${device}?${settings.join('&')}` };
}

function milliseconds(value: unknown): string | undefined {
  const time = Number(value ?? 0);
  return time > 0 ? `${time}ms` : undefined;
}
