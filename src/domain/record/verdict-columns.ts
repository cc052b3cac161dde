import type { Contribution, ProviderFallback, Verdict } from '../alarm/verdict.ts';
import { qualities, type Quality } from '../sample/quality.ts';
import { JsonKeys, type JsonWriter } from './json-writer.ts';

/**
 * A record as columns. `names` is JSON text that many records share: it is stored once, and each record has its hash.
 * `bytes` has values by position in the lists of `names`.
 */
export type RecordColumns = { readonly names: string; readonly bytes: Uint8Array };

/** Fields that are the same for every verdict of a version of a watch. */
export type VerdictNames = {
  readonly watch: string;
  readonly threshold: number | null;
  readonly model: string | null;
  readonly version: number | null;
  readonly provider: string | null;
  readonly fallbacks: readonly ProviderFallback[];
  readonly tags: readonly string[];
  /** Tags that the model estimated; undefined if none. */
  readonly imputed?: readonly string[];
};

/** Fields that change from verdict to verdict. */
export type VerdictFields = {
  readonly score: number | undefined;
  readonly verdict: Verdict['verdict'];
  readonly reason: string | undefined;
  readonly contributions: readonly Contribution[];
  /** Value of each tag, in the order of the names. NaN is missing. */
  readonly values: Float32Array;
  readonly qualities: readonly Quality[];
};

const verdicts = ['normal', 'abnormal', 'unknown', 'uncertain'] as const satisfies readonly Verdict['verdict'][];
/** Shares have four digits. */
const SHARE_UNITS = 1e4;
const TAGS_MAX = 65_536;

/*
 * Little-endian:
 *   0  uint16  number of qualities that are not good
 *   2  uint8   index in `verdicts`
 *   3  uint8   number of contributions
 *   4  float64 score, NaN for none
 *  12  float32 for each tag, NaN for a missing value
 *      uint16 tag, uint8 index in `qualities`: for each quality that is not good
 *      uint16 tag, uint16 share in 1/10000: for each contribution
 *      reason in UTF-8, to the end
 */
const VALUES_AT = 12;
const QUALITY_BYTES = 3;
const CONTRIBUTION_BYTES = 4;
const BEFORE_QUALITIES = '},"quality":{';
const AFTER_QUALITIES = '}}';

/** @param tags Tags of the names, in their order. @returns About 4 bytes a tag. */
export function encodeVerdict(tags: readonly string[], fields: VerdictFields): Uint8Array {
  const { score, verdict, reason, contributions, values } = fields;
  if (tags.length > TAGS_MAX) throw new RangeError(`A verdict record has at most ${TAGS_MAX} tags, not ${tags.length}`);
  const notGood: number[] = [];
  for (let tag = 0; tag < tags.length; tag += 1) if (fields.qualities[tag] !== 'good') notGood.push(tag);
  const text = reason === undefined ? undefined : new TextEncoder().encode(reason);
  const qualitiesAt = VALUES_AT + 4 * tags.length;
  const contributionsAt = qualitiesAt + QUALITY_BYTES * notGood.length;
  const reasonAt = contributionsAt + CONTRIBUTION_BYTES * contributions.length;
  const bytes = new Uint8Array(reasonAt + (text?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, notGood.length, true);
  view.setUint8(2, verdicts.indexOf(verdict));
  view.setUint8(3, contributions.length);
  view.setFloat64(4, score ?? Number.NaN, true);
  for (let tag = 0; tag < tags.length; tag += 1) view.setFloat32(VALUES_AT + 4 * tag, values[tag] ?? Number.NaN, true);
  for (const [index, tag] of notGood.entries()) {
    view.setUint16(qualitiesAt + QUALITY_BYTES * index, tag, true);
    view.setUint8(qualitiesAt + QUALITY_BYTES * index + 2, qualities.indexOf(fields.qualities[tag] ?? 'bad'));
  }
  for (const [index, { tag, share }] of contributions.entries()) {
    view.setUint16(contributionsAt + CONTRIBUTION_BYTES * index, tags.indexOf(tag), true);
    view.setUint16(contributionsAt + CONTRIBUTION_BYTES * index + 2, Math.round(share * SHARE_UNITS), true);
  }
  if (text !== undefined) bytes.set(text, reasonAt);
  return bytes;
}

/** Writes the JSON bodies of verdict records from their columns. Texts that depend on the names only are made once. */
export class VerdictJson {
  readonly names: VerdictNames;
  /** JSON array of the names of the tags. */
  readonly tagsJson: string;
  readonly #beforeScore: Uint8Array;
  /** Text from the score to the values for each verdict, without a reason and contributions, and with the names. */
  readonly #betweenPlain: readonly Uint8Array[];
  readonly #beforeVerdict: Uint8Array;
  readonly #afterReason: Uint8Array;
  readonly #beforeTags: Uint8Array;
  /** `"name":`, from the second on after a comma. */
  readonly #keys: readonly string[];
  readonly #beforeValues: JsonKeys;
  /** Nothing, from the second on a comma. */
  readonly #commas: JsonKeys;
  readonly #afterFallbacks: Uint8Array;
  readonly #allGood: Uint8Array;

  /** @param names JSON text of `VerdictNames`. */
  constructor(names: string) {
    this.names = JSON.parse(names) as VerdictNames;
    const { watch, threshold, model, version, provider, fallbacks, tags, imputed } = this.names;
    this.tagsJson = JSON.stringify(tags);
    const keys = tags.map((tag, index) => `${index === 0 ? '' : ','}${JSON.stringify(tag)}:`);
    this.#beforeScore = utf8(`"watch":${JSON.stringify(watch)},"score":`);
    this.#beforeVerdict = utf8(`,"threshold":${threshold},"verdict":"`);
    this.#afterReason = utf8(`,"model":${JSON.stringify(model)},"version":${version},"contributions":`);
    const estimated = imputed === undefined ? '' : `,"imputed":${JSON.stringify(imputed)}`;
    const host = `${estimated},"provider":${JSON.stringify(provider)},"fallbacks":${JSON.stringify(fallbacks)}`;
    this.#beforeTags = utf8(`${host},"tags":{`);
    this.#betweenPlain = verdicts.map((verdict) =>
      Buffer.concat([
        this.#beforeVerdict,
        utf8(`${verdict}","reason":""`),
        this.#afterReason,
        utf8('[]'),
        this.#beforeTags,
      ]),
    );
    this.#afterFallbacks = utf8(host);
    this.#keys = keys;
    this.#beforeValues = new JsonKeys(keys);
    this.#commas = new JsonKeys(tags.map((_, index) => (index === 0 ? '' : ',')));
    this.#allGood = utf8(`${BEFORE_QUALITIES}${keys.map((key) => `${key}"good"`).join('')}${AFTER_QUALITIES}`);
  }

  /**
   * Writes the fields and the closing brace.
   * @param columns Position of the list of tags in the message; undefined writes the names of the tags.
   * @returns False if the bytes do not fit the names; then a part may be written.
   */
  write(bytes: Uint8Array, to: JsonWriter, columns?: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.writeFrom(view, 0, bytes.length, to, columns);
  }

  /** As `write`, for the bytes from `start` to `end`: many records share a view. */
  writeFrom(view: DataView, start: number, end: number, to: JsonWriter, columns?: number): boolean {
    const qualitiesAt = start + VALUES_AT + 4 * this.#keys.length;
    if (end < qualitiesAt) return false;
    const contributionsAt = qualitiesAt + QUALITY_BYTES * view.getUint16(start, true);
    const reasonAt = contributionsAt + CONTRIBUTION_BYTES * view.getUint8(start + 3);
    const verdict = view.getUint8(start + 2);
    const between = this.#betweenPlain[verdict];
    if (end < reasonAt || between === undefined) return false;
    const score = view.getFloat64(start + 4, true);
    to.bytes(this.#beforeScore);
    if (Number.isNaN(score)) to.text('null');
    else to.number(score);
    if (columns === undefined && end === contributionsAt) to.bytes(between);
    else {
      const reason =
        reasonAt === end ? '""' : jsonText(new Uint8Array(view.buffer, view.byteOffset + reasonAt, end - reasonAt));
      to.bytes(this.#beforeVerdict);
      to.text(`${verdicts[verdict]}","reason":${reason}`);
      to.bytes(this.#afterReason);
      to.text(JSON.stringify(this.#contributions(view, contributionsAt, reasonAt)));
      if (columns === undefined) to.bytes(this.#beforeTags);
    }
    const notGood = notGoodOf(view, qualitiesAt, contributionsAt);
    if (columns === undefined) {
      to.float32s(this.#beforeValues, view, start + VALUES_AT);
      this.#writeQualities(notGood, to);
      return true;
    }
    to.bytes(this.#afterFallbacks);
    to.text(`,"columns":${columns},"values":[`);
    to.float32s(this.#commas, view, start + VALUES_AT);
    const named = [...notGood].map(([tag, quality]) => [this.names.tags[tag] ?? '', quality]);
    to.text(`],"quality":${JSON.stringify(Object.fromEntries(named))}}`);
    return true;
  }

  #writeQualities(notGood: ReadonlyMap<number, Quality | undefined>, writer: JsonWriter): void {
    if (notGood.size === 0) return writer.bytes(this.#allGood);
    writer.text(BEFORE_QUALITIES);
    for (const [tag, key] of this.#keys.entries()) {
      writer.text(`${key}"${notGood.get(tag) ?? 'good'}"`);
    }
    return writer.text(AFTER_QUALITIES);
  }

  #contributions(view: DataView, from: number, to: number): readonly Contribution[] {
    const found: Contribution[] = [];
    for (let at = from; at < to; at += CONTRIBUTION_BYTES) {
      const tag = this.names.tags[view.getUint16(at, true)] ?? '';
      found.push({ tag, share: view.getUint16(at + 2, true) / SHARE_UNITS });
    }
    return found;
  }
}

const ALL_GOOD: ReadonlyMap<number, Quality> = new Map();

/** Returns the qualities that are not good, by the position of their tag. */
function notGoodOf(view: DataView, from: number, to: number): ReadonlyMap<number, Quality | undefined> {
  if (from === to) return ALL_GOOD;
  const notGood = new Map<number, Quality | undefined>();
  for (let at = from; at < to; at += QUALITY_BYTES)
    notGood.set(view.getUint16(at, true), qualities[view.getUint8(at + 2)]);
  return notGood;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function jsonText(bytes: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(bytes));
}
