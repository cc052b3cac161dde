import { writeFile } from 'node:fs/promises';
import { errorMessage } from '../../platform/errors.ts';
import { trainingFailure } from '../../training/core/training-errors.ts';

/**
 * Writes a tag file, with a byte order mark, by which Excel reads it as UTF-8.
 * @throws {OperatingError} 'file-not-written' (retry).
 */
export async function writeTagFile(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, `\uFEFF${text}`);
  } catch (error) {
    throw trainingFailure('file-not-written', errorMessage(error), { cause: error });
  }
}
