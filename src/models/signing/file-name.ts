/** Files that a version may have, and a signature may list. */
export const FILES_MAX = 100;

/**
 * Names that mean one file of the folder and nothing else, on any system: no separator, no '..', nothing hidden. Their
 * order is the same in every language, which the digest over all files depends on.
 */
const fileNamePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

export function isFileName(name: string): boolean {
  return fileNamePattern.test(name);
}
