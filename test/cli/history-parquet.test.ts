import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterEach, expect, test } from 'vitest';
import { writeParquet } from '../../src/cli/training/history-parquet.ts';

const folder = mkdtempSync(join(tmpdir(), 'andon-parquet-'));

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function* rowsOf(count: number) {
  for (let row = 0; row < count; row += 1)
    yield {
      row,
      timeMs: row * 1000 + 0.5,
      timeText: '',
      suppressed: false,
      label: '',
      values: Float64Array.of(row / 3, row % 2 === 0 ? Number.NaN : -row),
    };
}

test('history as Parquet has its times, its doubles, and a null if a tag has no sample, over several row groups', async () => {
  const path = join(folder, 'history.parquet');
  await writeParquet(path, ['pump-1.pressure', 'pump-1.flow'], rowsOf(120_001));
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const parsers = { timestampFromMicroseconds: Number };
  const read = await parquetReadObjects({ file, parsers });
  expect(read).toHaveLength(120_001);
  expect(read[0]).toEqual({ time: 500, 'pump-1.pressure': 0, 'pump-1.flow': null });
  expect(read[120_000]).toEqual({ time: 120_000_000_500, 'pump-1.pressure': 40_000, 'pump-1.flow': null });
  expect(read[60_001]).toEqual({ time: 60_001_000_500, 'pump-1.pressure': 60_001 / 3, 'pump-1.flow': -60_001 });
});

test('a place that cannot be written is named', async () => {
  await expect(writeParquet('/proc/no-such-folder/h.parquet', ['a', 'b'], rowsOf(1))).rejects.toMatchObject({
    code: 'file-not-written',
    message: expect.stringContaining('/proc/no-such-folder/h.parquet') as unknown,
  });
});
