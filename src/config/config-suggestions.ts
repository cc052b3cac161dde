import { nearest, simplified } from '../domain/nearest-word.ts';

/** What people call things elsewhere, and the key that means it here. Compared without case, dashes and underscores. */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  interval: ['scanInterval', 'hop', 'interval'],
  pollinterval: ['scanInterval'],
  pollrate: ['scanInterval'],
  cycletime: ['scanInterval'],
  slave: ['unitId'],
  slaveid: ['unitId'],
  unit: ['unitId'],
  deviceid: ['unitId'],
  host: ['url', 'listen'],
  address: ['url', 'listen'],
  broker: ['url'],
  server: ['url'],
  endpoint: ['url'],
  port: ['url', 'listen'],
  endian: ['byteOrder'],
  endianness: ['byteOrder'],
  wordorder: ['byteOrder'],
  wordswap: ['byteOrder'],
  registertype: ['register'],
  functioncode: ['register'],
  datatype: ['type'],
  factor: ['scale'],
  multiplier: ['scale'],
  gain: ['scale'],
  units: ['unit'],
  jsonpath: ['value'],
  path: ['value', 'directory', 'path'],
  limit: ['threshold'],
  debounce: ['onDelay'],
  delay: ['onDelay'],
  hysteresis: ['deadband'],
  severity: ['priority'],
  providers: ['executionProviders'],
  size: ['maxSize'],
  retention: ['history'],
  type: ['type'],
};

/** Like `nearest`, for keys of the configuration: knows the words of other programs, too. */
export function nearestKey(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates);
  if (near !== undefined) return near;
  const meant = OTHER_NAMES[simplified(word)] ?? [];
  return meant.find((name) => candidates.includes(name)) ?? containing(word, candidates);
}

/** `timeout` for `requestTimeout`: a key that ends with the word, which must be long enough to mean something. */
function containing(word: string, candidates: readonly string[]): string | undefined {
  const plain = simplified(word);
  return plain.length < 4 ? undefined : candidates.find((candidate) => simplified(candidate).endsWith(plain));
}
