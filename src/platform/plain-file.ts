import { constants, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, errorMessage } from './errors.ts';

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

/** Returns a text that differs after a change of the file, also if another file took its place; the error code without a file. */
export function fileVersion(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    return errorCode(error) ?? errorMessage(error);
  }
}
