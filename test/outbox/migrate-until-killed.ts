import { writeSync } from 'node:fs';
import { openFormatted } from '../../src/outbox/file/database-format.ts';
import { itemsFormat } from './items-format.ts';

/*
 * Runs as its own process. Opens the file with format 2, which migrates it. Stops for ever before the given row, in the
 * middle of the transaction, until it is killed.
 */
const [path = '', haltAt = ''] = process.argv.slice(2);
const format = itemsFormat((row) => {
  if (row !== Number(haltAt)) return;
  writeSync(1, 'halted\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
writeSync(1, 'opening\n');
openFormatted(path, 64e6, format).close();
