import { BAD, GOOD, type QualityReason, UNCERTAIN } from '../../../domain/sample/quality.ts';
import type { SampleBatch } from '../../../domain/sample/sample-batch.ts';
import type { TagNumber } from '../../../domain/sample/tag.ts';
import { Backoff } from '../../../platform/backoff.ts';
import type { NotAvailableCodes } from '../frame/not-available.ts';
import { bitDecoder, type Decoder, mayLosePrecision, registerDecoder } from '../frame/register-decode.ts';
import { decodeText, textCode, type TextLayout } from '../frame/register-text.ts';
import type { ReadBlock } from './register-plan.ts';
import { readsBits, registerBytes } from '../frame/read-pdu.ts';
import type { LocatedTag } from './scan-plan.ts';

/** First wait before a refused tag is retried; doubles up to the longest wait. */
const DISABLED_MS_FIRST = 5000;
const DISABLED_MS_MAX = 300_000;

/** A tag with its number in the source's tag table. */
export type NumberedTag = LocatedTag & { readonly number: TagNumber };

/** Decoding data of one tag, prepared once. */
type Slot = {
  readonly tag: TagNumber;
  readonly decode: Decoder;
  /** True for a float32 in the usual byte order. */
  readonly isFloat32: boolean;
  readonly byteOffset: number;
  readonly scale: number;
  /** 10 for a scale of 0.1: 101 / 10 is 10.1, and 101 * 0.1 is 10.100000000000001. 1 if there is no such number. */
  readonly divisor: number;
  readonly offset: number;
  readonly mayLosePrecision: boolean;
  /** Undefined without any. */
  readonly codes: NotAvailableCodes | undefined;
};

/** A text tag with the last content of its registers: only a changed text is decoded. */
type TextSlot = {
  readonly tag: TagNumber;
  readonly layout: TextLayout;
  readonly byteOffset: number;
  readonly held: Buffer;
  code: number | undefined;
};

/** Reason why a read is disabled, and the time of its retry. */
export type DisabledState = { readonly reason: QualityReason; readonly message: string; readonly untilMs: number };

/** One read of a scan: a planned read, or a part of one after the device refused the whole. */
export class ReadPart {
  readonly block: ReadBlock<NumberedTag>;
  /** The planned read that this is a part of. */
  readonly planned: ReadBlock<NumberedTag>;
  /** True after a response with data. */
  proven = false;
  /** Scans in a row without a valid response, while the unit answered other reads. */
  strikes = 0;
  /** Count of the unit's responses at the last strike. */
  answersAtStrike = 0;
  readonly #slots: readonly Slot[];
  readonly #textSlots: readonly TextSlot[];
  readonly #backoff: Backoff;
  #disabled: DisabledState | undefined;
  /** View of the last response: a transport uses the same buffer again. */
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(block: ReadBlock<NumberedTag>, planned: ReadBlock<NumberedTag>, random: () => number) {
    this.block = block;
    this.planned = planned;
    this.#slots = block.items.flatMap((tag) => slotOf(tag, block));
    this.#textSlots = block.items.flatMap((tag) => textSlotOf(tag, block));
    this.#backoff = new Backoff({ firstMs: DISABLED_MS_FIRST, maxMs: DISABLED_MS_MAX, random });
  }

  get disabled(): DisabledState | undefined {
    return this.#disabled;
  }

  /** True if the last reads were answered with data: the read may be in a group, where a failure has no clear cause. */
  get isReliable(): boolean {
    return this.proven && this.#disabled === undefined && this.strikes === 0;
  }

  /** Disables the read; each time in a row makes the wait longer. */
  disable(reason: QualityReason, message: string, nowMs: number): void {
    this.#disabled = { reason, message, untilMs: nowMs + this.#backoff.nextMs() };
  }

  enable(): void {
    this.#disabled = undefined;
    this.#backoff.reset();
  }

  /** Adds the scaled value of every tag. Hot path: allocates nothing. */
  decode(bytes: Buffer, offset: number, timeMs: number, batch: SampleBatch): void {
    const view = this.#viewOf(bytes);
    for (const slot of this.#slots) {
      const at = offset + slot.byteOffset;
      // A decoder's result is a number on the heap unless it is a small integer.
      const raw = slot.isFloat32 ? view.getFloat32(at) : slot.decode(bytes, at);
      const value = (slot.divisor === 1 ? raw * slot.scale : raw / slot.divisor) + slot.offset;
      if (slot.codes?.known.includes(raw) === true) batch.add(slot.tag, NaN, timeMs, BAD, 'not-available');
      else if (!Number.isFinite(value)) batch.add(slot.tag, NaN, timeMs, BAD, 'not-finite');
      else if (slot.codes?.suspected.includes(raw) === true)
        batch.add(slot.tag, value, timeMs, UNCERTAIN, 'not-available?');
      else if (slot.mayLosePrecision && !Number.isSafeInteger(raw))
        batch.add(slot.tag, value, timeMs, UNCERTAIN, 'precision-lost');
      else batch.add(slot.tag, value, timeMs, GOOD, 'none');
    }
    for (const slot of this.#textSlots) batch.add(slot.tag, readText(slot, bytes, offset, batch), timeMs, GOOD, 'none');
  }

  #viewOf(bytes: Buffer): DataView {
    const { buffer, byteOffset, length } = bytes;
    if (this.#view.buffer !== buffer || this.#view.byteOffset !== byteOffset || this.#view.byteLength !== length)
      this.#view = new DataView(buffer, byteOffset, length);
    return this.#view;
  }

  /** Adds every tag with quality bad and no value. */
  fail(reason: QualityReason, timeMs: number, batch: SampleBatch): void {
    for (const { tag } of this.#slots) batch.add(tag, NaN, timeMs, BAD, reason);
    for (const { tag } of this.#textSlots) batch.add(tag, NaN, timeMs, BAD, reason);
  }
}

function slotOf(tag: NumberedTag, block: ReadBlock<NumberedTag>): readonly Slot[] {
  const distance = tag.address - block.address;
  const isBit = readsBits(block.functionCode);
  const { meaning } = tag;
  if (meaning.type === 'string') return [];
  return [
    {
      tag: tag.number,
      isFloat32: meaning.type === 'float32' && meaning.byteOrder === 'ABCD',
      decode: isBit ? bitDecoder(distance) : registerDecoder(meaning.type, meaning.byteOrder, meaning.bit),
      byteOffset: isBit ? 0 : distance * registerBytes(block),
      scale: tag.scale,
      divisor: divisorOf(tag.scale),
      offset: tag.offset,
      mayLosePrecision: mayLosePrecision(meaning.type),
      codes: meaning.codes.known.length + meaning.codes.suspected.length === 0 ? undefined : meaning.codes,
    },
  ];
}

/** Returns the whole number whose reciprocal is the scale; 1 if there is none. */
function divisorOf(scale: number): number {
  const divisor = Math.round(1 / scale);
  return 1 / divisor === scale ? divisor : 1;
}

function textSlotOf(tag: NumberedTag, block: ReadBlock<NumberedTag>): readonly TextSlot[] {
  if (tag.meaning.type !== 'string') return [];
  const byteOffset = (tag.address - block.address) * registerBytes(block);
  return [
    {
      tag: tag.number,
      layout: tag.meaning,
      byteOffset,
      held: Buffer.alloc(tag.width * registerBytes(block)),
      code: undefined,
    },
  ];
}

/** @returns Code of the text. The text itself is added to the batch if it has changed. */
function readText(slot: TextSlot, bytes: Buffer, offset: number, batch: SampleBatch): number {
  const { held, layout, tag } = slot;
  const from = offset + slot.byteOffset;
  if (slot.code !== undefined && bytes.compare(held, 0, held.length, from, from + held.length) === 0) return slot.code;
  bytes.copy(held, 0, from, from + held.length);
  const text = decodeText(held, 0, layout);
  slot.code = textCode(text);
  batch.setText(tag, text);
  return slot.code;
}
