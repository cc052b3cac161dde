export type Decimal = '.' | ',';

/** Words that historians, spreadsheets and OPC clients export for a missing value; compared in lower case. */
const missingWords: ReadonlySet<string> = new Set(
  `-,--,---,*,***,?,nan,null,(null),<null>,none,na,n/a,nil,undefined,inf,+inf,-inf,infinity,+infinity,-infinity
-nan,1.#qnan,1.#inf,-1.#ind,-1.#inf,#n/a,#value!,#ref!,#div/0!,#num!,#name?,#null!,#error,#####,bad,bad data
bad input,bad quality,bad value,no data,no result,no value,no good data,pt created,shutdown,comm fail
comm failure,scan off,calc failed,calc off,over range,under range,overrange,underrange,intf shut,i/o timeout
io timeout,timeout,timed out,arc off-line,archive offline,configure,not connected,disconnected,out of service
offline,error,invalid,invalid data,device failure,sensor failure,failed,filter fail,no sample,access denied
no lab data,trace,dcs failed,not available,unavailable,unknown,stale`
    .split(/[,\n]/)
    .concat(''),
);
/** `1242,42 *`, `12.5?`, `12.5 (Q)`: a program marks the number as questionable or replaced. */
const MARKED = /^([+\u2212-]?\d[\d.,' ]*?)\s*(?:[*?#!~]+|\([A-Za-z]{1,3}\))$/;
/** `12.5 kPa`, `45 %`, `20,1°C`. */
const WITH_UNIT = /^([+\u2212-]?[\d.,]*\d)\s*([%°\p{L}][^\d]{0,9}\d?)$/u;
/** `[-11059] No Good Data For Calculation` of the PI System. */
const PI_ERROR = /^\[-\d+\]/;

const GROUP = String.raw`[ '’\u00a0\u2009\u202f]`;
const exponent = String.raw`(?:e[+-]?\d+)?`;
const patterns = {
  '.': patternsOf('.', ','),
  ',': patternsOf(',', '.'),
} as const;
const onePoint = new RegExp(String.raw`^[+-]?(\d*|\d{1,3}(?:${GROUP}\d{3})+)([.,])(\d*)(${exponent})$`, 'i');
const groups = /^[+-]?\d{1,3}([.,])\d{3}(?:\1\d{3})+$/;
/** 12,34,567.8 in India. */
const indian = /^[+-]?\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?$/;
const groupsAndPoint = /^[+-]?\d{1,3}(?:([.,])\d{3})+([.,])\d+$/;

function patternsOf(decimal: Decimal, other: Decimal) {
  const point = `[${decimal}]`;
  return {
    plain: new RegExp(String.raw`^[+-]?(?:\d+${point}?\d*|${point}\d+)${exponent}$`, 'i'),
    spaced: new RegExp(String.raw`^[+-]?\d{1,3}(?:(${GROUP})\d{3})(?:\1\d{3})*(?:${point}\d+)?$`),
    grouped: new RegExp(String.raw`^[+-]?\d{1,3}(?:[${other}]\d{3})+(?:${point}\d+)?$`),
    oneGroup: new RegExp(String.raw`^[+-]?[1-9]\d{0,2}[${other}]\d{3}$`),
  };
}

/** True for a word that stands for a missing value, and for a number with a mark. @param more Further words, in lower case. */
export function isMissing(cell: string, more: ReadonlySet<string>): boolean {
  const word = cell.toLowerCase();
  return missingWords.has(word) || more.has(word) || PI_ERROR.test(cell) || isAnyNumber(MARKED.exec(cell)?.[1] ?? '');
}

/** Returns the unit behind a number; undefined if the cell is anything else. */
export function unitOf(cell: string): string | undefined {
  const [, number = '', unit] = WITH_UNIT.exec(cell) ?? [];
  return isAnyNumber(number) ? unit?.trim() : undefined;
}

/**
 * Returns the decimal separator that the cell proves; 'open' if the cell is a number in two ways: 1,206 is 1206 or 1.206.
 * Undefined if it proves nothing.
 */
export function provenDecimal(cell: string): Decimal | 'open' | undefined {
  const text = withMinus(cell);
  const one = onePoint.exec(text);
  if (one !== null) {
    const [, whole = '', point, fraction = '', power] = one;
    if (whole === '' && fraction === '') return undefined;
    const isOpen = /^[1-9]\d{0,2}$/.test(whole) && fraction.length === 3 && power === '';
    return isOpen ? 'open' : decimalOf(point);
  }
  if (indian.test(text)) return '.';
  const [, group] = groups.exec(text) ?? [];
  if (group !== undefined) return group === '.' ? ',' : '.';
  const [, first, last] = groupsAndPoint.exec(text) ?? [];
  return first === last ? undefined : decimalOf(last);
}

/**
 * Reads a number, with or without thousands separators.
 *
 * @param hasGroups True if the other separator is known to group thousands; otherwise one such group is 'open'.
 * @returns Undefined if the cell is not a number with this decimal separator.
 */
export function readNumber(cell: string, decimal: Decimal, hasGroups: boolean): number | 'open' | undefined {
  const text = withMinus(cell);
  const { plain, spaced, grouped, oneGroup } = patterns[decimal];
  if (plain.test(text)) return numberOf(text, decimal);
  if (spaced.test(text)) return numberOf(text.replaceAll(new RegExp(GROUP, 'g'), ''), decimal);
  if (!grouped.test(text) && !(decimal === '.' && indian.test(text))) return undefined;
  if (!hasGroups && oneGroup.test(text)) return 'open';
  return numberOf(text.replaceAll(decimal === '.' ? ',' : '.', ''), decimal);
}

/** True for `12.5-` and `(12.5)`, which are negative in some programs and marked in others. */
export function isOtherMinus(cell: string): boolean {
  const [, number = ''] = /^\((.+)\)$/.exec(cell) ?? /^(.+)-$/.exec(cell) ?? [];
  return isAnyNumber(number);
}

/** True for a number with either decimal separator. */
export function isAnyNumber(cell: string): boolean {
  return readNumber(cell, '.', true) !== undefined || readNumber(cell, ',', true) !== undefined;
}

/** Reads `true` and `false` as 1 and 0; with `onOff`, `on` and `off`, `yes` and `no` too. */
export function readBoolean(cell: string, onOff: boolean): number | undefined {
  const word = cell.toLowerCase();
  if (word === 'true' || (onOff && (word === 'on' || word === 'yes'))) return 1;
  return word === 'false' || (onOff && (word === 'off' || word === 'no')) ? 0 : undefined;
}

function numberOf(text: string, decimal: Decimal): number {
  return Number(decimal === ',' ? text.replace(',', '.') : text);
}

function decimalOf(text: string | undefined): Decimal | undefined {
  return text === '.' || text === ',' ? text : undefined;
}

/** Some programs write a typographic minus. */
function withMinus(cell: string): string {
  return cell.startsWith('\u2212') ? `-${cell.slice(1)}` : cell;
}
