import { BAD, GOOD, type QualityCode, UNCERTAIN } from '../domain/sample/quality.ts';

/** Meaning of small numbers: 0 is good in OPC UA; 0 is bad in OPC DA and as a flag, where 192 and 1 are good. */
export const qualityCodes = ['opcua', 'opcda', 'flag'] as const;
type QualityCodes = (typeof qualityCodes)[number];

/** 'unclear': a name such as `fault` or `QualityCode` does not tell; then numbers and flags that could be either are not known. */
export type GuessedCodes = QualityCodes | 'unclear';

const byTopBitsOfUa: readonly (QualityCode | undefined)[] = [GOOD, UNCERTAIN, BAD, undefined];
const byTopBitsOfDa: readonly (QualityCode | undefined)[] = [BAD, UNCERTAIN, undefined, GOOD];
/** Longest text that is read as a quality. */
const TEXT_MAX = 64;
const words: readonly (readonly [RegExp, QualityCode])[] = [
  [/^(good($|[^a-z])|ok$|valid$|true$)/, GOOD],
  [/^(bad|invalid$|false$|error$|fault$|failure$)/, BAD],
  [/^(uncertain|questionable$)/, UNCERTAIN],
];

/**
 * Reads the quality that a sender gave its value. The docs have the table.
 *
 * @param codes Meaning of numbers below 2^16. Larger ones are OPC UA status codes.
 * @returns Good if there is no quality; undefined if the value is not a known one.
 * @see OPC UA Part 4, section 7.39: the two top bits of 32 are 00 good, 01 uncertain, 10 bad. OPC DA 3.0, section 6.8: the
 *   two top bits of the low byte are 11 good, 01 uncertain, 00 bad; the high byte belongs to the vendor.
 */
export function readQuality(value: unknown, codes: GuessedCodes): QualityCode | undefined {
  if (value === undefined || value === null) return GOOD;
  if (typeof value === 'boolean') return codes === 'unclear' ? undefined : value ? GOOD : BAD;
  if (typeof value === 'number') return qualityOfCode(value, codes);
  if (typeof value === 'string') return qualityOfText(value, codes);
  return typeof value === 'object' ? qualityOfObject(value) : undefined;
}

/** Guesses the meaning of small numbers from the path of their field: `$.Value.StatusCode`, `$.valid`, `$.q`. */
export function qualityCodesOf(path: string): GuessedCodes {
  const name = /\w+(?=\W*$)/.exec(path)?.[0] ?? '';
  // A flag that is set when something is wrong, or a quality that may be of OPC UA or of OPC DA.
  if (/invalid|bad|fault|fail|err|alarm|not_?|stale/i.test(name)) return 'unclear';
  if (/quality/i.test(path) && /status|code/i.test(name)) return 'unclear';
  if (/status|code/i.test(name)) return 'opcua';
  return /valid|good|^ok$/i.test(name) ? 'flag' : 'opcda';
}

function qualityOfCode(code: number, codes: GuessedCodes): QualityCode | undefined {
  if (!Number.isInteger(code) || code < -(2 ** 31) || code >= 2 ** 32) return undefined;
  // A sender with signed integers has a negative number for a bad status.
  const bits = code >>> 0;
  // The low 16 bits of a status of OPC UA only add to it: alone they are none.
  if (codes === 'opcua' && bits > 0 && bits < 2 ** 16) return undefined;
  if (codes === 'opcua' || bits >= 2 ** 16) return byTopBitsOfUa[bits >>> 30];
  if (codes === 'unclear' && byTopBitsOfDa[(bits & 0xc0) >>> 6] !== GOOD) return undefined;
  if (codes === 'flag') return bits === 1 ? GOOD : bits === 0 ? BAD : undefined;
  // No server has the limit bits without a reason: a 1 is a flag, and its meaning is not sure.
  return bits === 1 ? undefined : byTopBitsOfDa[(bits & 0xc0) >>> 6];
}

function qualityOfText(text: string, codes: GuessedCodes): QualityCode | undefined {
  // `GoodClamped` and `Good_Clamped` are words of OPC UA, `goodish` is none.
  const word = text
    .slice(0, TEXT_MAX)
    .trim()
    .replace(/^(Good)(?=[A-Z])/, '$1 ')
    .toLowerCase();
  if (codes === 'unclear' && /^(true|false)$/.test(word)) return undefined;
  if (/^(0x[\da-f]{1,8}|-?\d{1,10})$/.test(word)) return qualityOfCode(Number(word), codes);
  return words.find(([pattern]) => pattern.test(word))?.[1];
}

/** `{"Code": 2147483648, "Symbol": "Bad"}` of OPC UA, or the same with other names. */
function qualityOfObject(value: object): QualityCode | undefined {
  const fields = new Map(Object.entries(value).map(([name, field]): [string, unknown] => [name.toLowerCase(), field]));
  const name = ['code', 'statuscode', 'value', 'symbol', 'name'].find((each) => fields.has(each));
  const field = name === undefined ? undefined : fields.get(name);
  return typeof field === 'number' || typeof field === 'string' ? readQuality(field, 'opcua') : undefined;
}
