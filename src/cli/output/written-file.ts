import { writeFile } from 'node:fs/promises';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { trainingFailure } from '../../training/core/training-errors.ts';

/**
 * Writes a file or folder of the user.
 *
 * @throws {OperatingError} 'file-not-written' (retry); an error of the content as it is.
 */
export async function writing(path: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw trainingFailure('file-not-written', `${path}: ${errorMessage(error)}`, { cause: error });
  }
}

/** Writes a tag file as `writing` does, with a byte order mark, by which Excel reads it as UTF-8. */
export function writeTagFile(path: string, text: string): Promise<void> {
  return writing(path, () => writeFile(path, `\uFEFF${text}`));
}
