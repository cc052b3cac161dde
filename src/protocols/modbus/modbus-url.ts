/** A device or gateway on the network. */
export type TcpEndpoint = {
  readonly medium: 'tcp';
  /** `rtu`, `ascii`: frames of a serial line over TCP, as serial device servers send them. */
  readonly framing: 'mbap' | 'rtu' | 'ascii';
  /** True for Modbus/TCP Security. */
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** Baud rate of the serial line behind the gateway; used only by `andon plan`. */
  readonly baudRate: number | undefined;
};

/** A serial line of this computer. */
export type SerialEndpoint = {
  readonly medium: 'serial';
  readonly framing: 'rtu' | 'ascii';
  readonly path: string;
  readonly baudRate: number;
  readonly parity: Parity;
  readonly stopBits: 1 | 2;
  /** 8 for RTU. The standard has 7 for ASCII. */
  readonly dataBits: 7 | 8;
};

export type ModbusEndpoint = TcpEndpoint | SerialEndpoint;

const parities = ['none', 'even', 'odd'] as const;
type Parity = (typeof parities)[number];

const DEFAULT_PORT = 502;
/** @see MODBUS/TCP Security Protocol Specification, section 8.2. */
const DEFAULT_TLS_PORT = 802;
/** Baud rate that every device must support. @see MODBUS over Serial Line V1.02, sections 2.5.1 and 3.2. */
const DEFAULT_BAUD_RATE = 19_200;
const BAUD_RATE_MIN = 300;
const BAUD_RATE_MAX = 4_000_000;
const expected =
  'expected tcp://host:port, tcps://host:port, rtu+tcp://host:port, ascii+tcp://host:port, serial:///dev/ttyUSB0?baudRate=19200&parity=even&stopBits=1 or ascii+serial:///dev/ttyUSB0';

/** @returns Problem of the url, as a message; undefined if the url is valid. */
export function modbusUrlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return expected;
  switch (url.protocol) {
    case 'tcp:':
    case 'tcps:':
    case 'rtu+tcp:':
    case 'ascii+tcp:':
      return tcpProblem(url);
    case 'serial:':
      return serialProblem(url, ['baudRate', 'parity', 'stopBits']);
    case 'ascii+serial:':
      return serialProblem(url, ['baudRate', 'parity', 'stopBits', 'dataBits']);
    default:
      return `${expected}; not ${url.protocol}//`;
  }
}

/** @param text A url without a `modbusUrlProblem`. */
export function parseModbusUrl(text: string): ModbusEndpoint {
  const url = new URL(text);
  const baudRate = url.searchParams.get('baudRate');
  const isAscii = url.protocol.startsWith('ascii+');
  if (url.protocol.endsWith('serial:'))
    return {
      medium: 'serial',
      framing: isAscii ? 'ascii' : 'rtu',
      path: serialPath(url),
      baudRate: baudRate === null ? DEFAULT_BAUD_RATE : Number(baudRate),
      parity: parities.find((parity) => parity === url.searchParams.get('parity')) ?? 'even',
      stopBits: url.searchParams.get('stopBits') === '2' ? 2 : 1,
      dataBits: isAscii && url.searchParams.get('dataBits') !== '8' ? 7 : 8,
    };
  const tls = url.protocol === 'tcps:';
  return {
    medium: 'tcp',
    framing: isAscii ? 'ascii' : url.protocol === 'rtu+tcp:' ? 'rtu' : 'mbap',
    tls,
    // URL keeps the brackets of an IPv6 address; a socket does not accept them.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (tls ? DEFAULT_TLS_PORT : DEFAULT_PORT) : Number(url.port),
    baudRate: baudRate === null ? undefined : Number(baudRate),
  };
}

/** Returns the display name of an endpoint, equal for all spellings of its url: `10.0.0.7:502`, `/dev/ttyUSB0`. */
export function endpointName(endpoint: ModbusEndpoint): string {
  switch (endpoint.medium) {
    case 'tcp':
      return `${endpoint.host.toLowerCase()}:${endpoint.port}`;
    case 'serial':
      return endpoint.path;
  }
}

function tcpProblem(url: URL): string | undefined {
  if (url.hostname === '') return expected;
  if (url.port === '0') return 'port 0 cannot be used; expected 1 to 65535';
  const nothingElse = url.username === '' && url.password === '' && url.hash === '';
  if (!nothingElse || (url.pathname !== '' && url.pathname !== '/')) return expected;
  return parameterProblem(url, ['baudRate']);
}

function serialProblem(url: URL, parameters: readonly string[]): string | undefined {
  if (url.host !== '' || url.hash !== '' || url.pathname.length < 2) return expected;
  return parameterProblem(url, parameters);
}

function parameterProblem(url: URL, known: readonly string[]): string | undefined {
  for (const [name, value] of url.searchParams) {
    if (!known.includes(name)) return `unknown parameter '${name}'; expected ${known.join(', ')}`;
    const problem = valueProblem(name, value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function valueProblem(name: string, value: string): string | undefined {
  switch (name) {
    case 'parity':
      return parities.some((parity) => parity === value) ? undefined : 'parity is none, even or odd';
    case 'stopBits':
      return value === '1' || value === '2' ? undefined : 'stopBits is 1 or 2';
    case 'dataBits':
      return value === '7' || value === '8' ? undefined : 'dataBits is 7 or 8';
    default:
      return /^\d+$/.test(value) && Number(value) >= BAUD_RATE_MIN && Number(value) <= BAUD_RATE_MAX
        ? undefined
        : `baudRate is ${BAUD_RATE_MIN} to ${BAUD_RATE_MAX}`;
  }
}

/** `serial:///dev/ttyUSB0` is a path, `serial:///COM3` a name. */
function serialPath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return /^\/COM\d+$/i.test(path) ? path.slice(1) : path;
}
