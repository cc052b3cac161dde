/** Most files of a version, and of a signature. */
export const FILES_MAX = 100;

/**
 * Names of files in the folder itself on every operating system: no separator, no '..', no hidden file. Every language
 * sorts these names in the same order, which the digest over all files requires.
 */
const fileNamePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

export function isFileName(name: string): boolean {
  return fileNamePattern.test(name);
}
