import { createHash } from 'node:crypto';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatByteSize } from '../../domain/byte-size.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { plainFilePieces } from '../../platform/plain-file.ts';
import { FILES_MAX, isFileName } from './file-name.ts';
import { SignatureError } from './signature-error.ts';
import { SIGNATURE_FILE } from './statement.ts';

/**
 * Returns the names of a version's files in order, without its signature.
 *
 * @throws {SignatureError} The folder has an entry that a signature cannot cover: a folder, a link, an invalid name.
 */
export async function versionFileNames(folder: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const entry of await opendir(folder)) {
      if (entry.name === SIGNATURE_FILE) continue;
      if (!entry.isFile()) throw new SignatureError(`has '${entry.name}', which is not a plain file`);
      if (!isFileName(entry.name)) throw new SignatureError(`has a file with the invalid name '${entry.name}'`);
      names.push(entry.name);
      if (names.length > FILES_MAX) throw new SignatureError(`has more than ${FILES_MAX} files`);
    }
  } catch (error) {
    throw readFailure(undefined, error);
  }
  return names.toSorted();
}

/**
 * Returns the SHA-256 of a file, which is read in pieces.
 *
 * @throws {SignatureError} The file is missing, not a plain file, or larger than `bytesMax`.
 */
export async function fileDigest(folder: string, name: string, bytesMax: number): Promise<string> {
  const hash = createHash('sha256');
  await readPieces(folder, name, bytesMax, (piece) => hash.update(piece));
  return hash.digest('hex');
}

/**
 * Returns a whole file; undefined if it is missing.
 *
 * @throws {SignatureError} The file is not a plain file, or larger than `bytesMax`.
 */
export async function readSmallFile(folder: string, name: string, bytesMax: number): Promise<Uint8Array | undefined> {
  const pieces: Buffer[] = [];
  try {
    await readPieces(folder, name, bytesMax, (piece) => pieces.push(piece));
  } catch (error) {
    if (error instanceof SignatureError && errorCode(error.cause) === 'ENOENT') return undefined;
    throw error;
  }
  return Buffer.concat(pieces);
}

async function readPieces(
  folder: string,
  name: string,
  bytesMax: number,
  take: (piece: Buffer) => void,
): Promise<void> {
  let total = 0;
  try {
    for await (const piece of plainFilePieces(join(folder, name))) {
      total += piece.length;
      if (total > bytesMax)
        throw new SignatureError(`has a ${name} of more than ${formatByteSize(bytesMax)}, the limit`);
      take(piece);
    }
  } catch (error) {
    throw readFailure(name, error);
  }
}

function readFailure(name: string | undefined, error: unknown): SignatureError {
  if (error instanceof SignatureError) return error;
  const reason = errorCode(error) === 'ENOENT' ? 'it is missing' : errorMessage(error);
  return new SignatureError(`cannot be read${name === undefined ? '' : ` at ${name}`}: ${reason}`, { cause: error });
}
