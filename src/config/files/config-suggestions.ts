import { nearest, simplified } from '../../domain/nearest-word.ts';

/** Terms of other programs, and the keys with the same meaning here. Compared without case, dashes and underscores. */
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
  scalefactor: ['scale'],
  sf: ['scale'],
  decimals: ['scale'],
  exponent: ['scale'],
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

/** Returns the key that is most likely meant, by spelling or by a term of another program. */
export function nearestKey(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates);
  if (near !== undefined) return near;
  const synonyms = OTHER_NAMES[simplified(word)] ?? [];
  return synonyms.find((name) => candidates.includes(name)) ?? containing(word, candidates);
}

/** Returns a key that ends with the word, such as `requestTimeout` for `timeout`. The word needs 4 characters. */
function containing(word: string, candidates: readonly string[]): string | undefined {
  const plain = simplified(word);
  return plain.length < 4 ? undefined : candidates.find((candidate) => simplified(candidate).endsWith(plain));
}
