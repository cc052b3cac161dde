import { createReadStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { errorCode, errorMessage } from '../../platform/errors.ts';

/** Largest configuration file: enough for about 30,000 tags, and a limit for the memory. */
const FILE_BYTES_MAX = 4_000_000;

/** Text of a file, or the reason why it cannot be read. */
export type ConfigText = { readonly text: string } | { readonly problem: string };

/**
 * Reads a configuration file, at most `FILE_BYTES_MAX`, even if the file reports a smaller size.
 *
 * @param decode Default: UTF-8 only.
 */
export async function readConfigText(
  path: string,
  decode: (bytes: Buffer) => ConfigText = decoded,
): Promise<ConfigText> {
  try {
    const bytes = await buffer(createReadStream(path, { end: FILE_BYTES_MAX }));
    if (bytes.length > FILE_BYTES_MAX)
      return { problem: `is larger than ${FILE_BYTES_MAX / 1e6} MB: check that this is the right file` };
    return decode(bytes);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EISDIR') return { problem: 'is a folder: expected a configuration file' };
    if (code === 'ENOENT') return { problem: 'the file does not exist' };
    if (code === 'EACCES') return { problem: 'this user has no permission to read it: check its owner and mode' };
    return { problem: `cannot be read: ${errorMessage(error)}` };
  }
}

function decoded(bytes: Buffer): ConfigText {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  if (mark === 0xfffe || mark === 0xfeff) return { problem: 'is UTF-16 text: save it as UTF-8' };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { problem: 'is not UTF-8 text: save it as UTF-8' };
  }
}
