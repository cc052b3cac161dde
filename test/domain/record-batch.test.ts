import { expect, it } from 'vitest';
import { RecordBatch, RecordBatchWriter } from '../../src/domain/record/record-batch.ts';

function batchesOf(texts: readonly string[], spare?: Uint8Array<ArrayBuffer>[]): readonly RecordBatch[] {
  const writer = new RecordBatchWriter({ recordsMax: 2, bytesMax: 1e6 }, spare);
  for (const [index, text] of texts.entries())
    writer.add({ id: `a/1/${index}`, sequence: index }, (to) => {
      to.text(JSON.stringify({ text }));
      return true;
    });
  return writer.end().map((batch) => new RecordBatch(batch));
}

function textsOf(batches: readonly RecordBatch[]): readonly string[] {
  return batches.flatMap(({ json }) =>
    (JSON.parse(new TextDecoder().decode(json)) as { text: string }[]).map(({ text }) => text),
  );
}

it('writes the next records into the buffers of acknowledged batches', () => {
  const first = batchesOf(['a', 'b', 'c']);
  const spare = first.map(({ json }) => new Uint8Array(json.buffer));
  const buffers = new Set(spare.map(({ buffer }) => buffer));
  const second = batchesOf(['d', 'e', 'f'], spare);
  expect(textsOf(second)).toEqual(['d', 'e', 'f']);
  expect(second.every(({ json }) => buffers.has(json.buffer))).toBe(true);
  expect(spare).toEqual([]);
});

it('replaces a buffer that is too small, and never writes two batches into one', () => {
  const long = 'x'.repeat(100_000);
  const batches = batchesOf([long, 'b', 'c'], [new Uint8Array(8)]);
  expect(textsOf(batches)).toEqual([long, 'b', 'c']);
  expect(new Set(batches.map(({ json }) => json.buffer)).size).toBe(2);
});
