/** Where a Modbus TCP device listens. */
export type TcpEndpoint = { readonly host: string; readonly port: number };

const DEFAULT_PORT = 502;
const expected = 'expected tcp://host:port, such as tcp://10.0.0.7:502';

/** @returns What is wrong with the url, for an operator; undefined where it can be used. */
export function modbusUrlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return expected;
  switch (url.protocol) {
    case 'tcp:':
      return tcpProblem(url);
    case 'rtu+tcp:':
      return 'rtu+tcp:// (Modbus RTU framing over TCP) is not supported by this version; set the gateway to Modbus TCP and use tcp://';
    case 'serial:':
      return 'serial:// (Modbus RTU on a serial port) is not supported by this version; use a Modbus TCP gateway and tcp://';
    default:
      return `${expected}; not ${url.protocol}//`;
  }
}

/** @param text A url without a `modbusUrlProblem`. */
export function parseModbusUrl(text: string): TcpEndpoint {
  const url = new URL(text);
  return {
    // URL keeps the brackets of an IPv6 address, which a socket does not want.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
  };
}

function tcpProblem(url: URL): string | undefined {
  if (url.hostname === '') return expected;
  if (url.port === '0') return 'port 0 is nobody';
  const nothingElse = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return nothingElse && (url.pathname === '' || url.pathname === '/') ? undefined : expected;
}
