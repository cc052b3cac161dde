import { statSync } from 'node:fs';
import { errorCode, errorMessage } from './errors.ts';

/** Returns a text that differs after a change of the file, also if another file took its place; the error code without a file. */
export function fileVersion(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    return errorCode(error) ?? errorMessage(error);
  }
}
