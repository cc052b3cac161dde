import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode } from './errors.ts';

/** Opens a plain file for reading. Follows no link and does not block on a pipe. */
async function openPlain(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    if (errorCode(error) !== 'ELOOP') throw error;
  }
  throw new Error('it is not a plain file');
}

/** Reads a plain file in pieces of 256 kB. Follows no link. @throws {Error} Also if it is not a plain file. */
export async function* plainFilePieces(path: string): AsyncGenerator<Buffer> {
  const file = await openPlain(path);
  for await (const piece of file.createReadStream({ highWaterMark: 256 * 1024 })) yield piece as Buffer;
}
