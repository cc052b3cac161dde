import { env } from 'node:process';

/** A proxy would connect to itself. */
const NEVER_PROXIED = 'localhost,127.0.0.1,::1';
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'ws:': '80', 'https:': '443', 'wss:': '443' };

/** URLs of proxies, and hosts that are reached directly. */
export type ProxySettings = {
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string;
};

/**
 * Returns the proxies that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name. Names in lower case come first.
 * @throws {Error} A value is not a URL. The message does not contain it, because it may contain a password.
 */
export function proxySettings(variables: NodeJS.ProcessEnv = env): ProxySettings {
  // An empty variable means the same as a missing one.
  const valueOf = (name: string) => (variables[name.toLowerCase()] ?? variables[name]) || undefined;
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    const value = valueOf(name);
    if (value !== undefined && !/^https?:$/.test(URL.parse(value)?.protocol ?? ''))
      throw new Error(`${name} is not a URL such as http://proxy:3128`);
  }
  return {
    httpProxy: valueOf('HTTP_PROXY'),
    httpsProxy: valueOf('HTTPS_PROXY'),
    noProxy: `${valueOf('NO_PROXY') ?? ''},${NEVER_PROXIED}`,
  };
}

/**
 * Returns the proxy for a URL with http, https, ws or wss, with the rules that undici has for HTTP; undefined for a direct
 * connection, which all others have.
 * @throws {Error} A proxy is not a URL.
 */
export function proxyFor(url: string, variables: NodeJS.ProcessEnv = env): URL | undefined {
  const { protocol, hostname, port } = new URL(url);
  const defaultPort = DEFAULT_PORTS[protocol];
  if (defaultPort === undefined) return undefined;
  const { httpProxy, httpsProxy, noProxy } = proxySettings(variables);
  const proxy = defaultPort === '443' ? (httpsProxy ?? httpProxy) : httpProxy;
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const isDirect = noProxy
    .split(/[,\s]+/)
    .some((entry) => excludes(entry.toLowerCase(), host, port === '' ? defaultPort : port));
  return proxy === undefined || isDirect ? undefined : new URL(proxy);
}

/** Returns true if an entry of NO_PROXY names the host or a domain above it: `mes`, `.plant.example`, `[::1]:8443`, `*`. */
function excludes(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [, name = '', onlyPort] = /^(\[.+\]|[^:]+):(\d+)$/.exec(entry) ?? [undefined, entry];
  if (onlyPort !== undefined && onlyPort !== port) return false;
  const domain = name
    .replace(/^\[|\]$/g, '')
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  const isWildcard = name.startsWith('*.');
  return domain !== '' && ((host === domain && !isWildcard) || host.endsWith(`.${domain}`));
}
