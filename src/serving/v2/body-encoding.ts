import { promisify } from 'node:util';
import { deflate, gunzip, gzip, inflate, type InputType, type ZlibOptions } from 'node:zlib';
import { formatByteSize } from '../../domain/byte-size.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { v2Failure } from './v2-errors.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';

/*
 * Compressed bodies, as Triton's clients use them: gzip, or deflate with the zlib frame (RFC 9110, section 8.4.1). zlib runs in
 * Node's thread pool and does not block the thread with the sockets.
 */

const decoders = {
  gzip: promisify<Buffer, ZlibOptions, Buffer>(gunzip),
  deflate: promisify<Buffer, ZlibOptions, Buffer>(inflate),
};
const encoders = { gzip: promisify<InputType, Buffer>(gzip), deflate: promisify<InputType, Buffer>(deflate) };

/** Compressing a shorter response costs more than it saves. */
const COMPRESS_BYTES_MIN = 1_024;

export type ContentCoding = 'gzip' | 'deflate' | 'identity';

/** @throws {OperatingError} 'infer-request-invalid' if the header names another coding, or several. */
export function contentCoding(header: string | undefined): ContentCoding {
  switch (header?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return 'identity';
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
      return 'deflate';
  }
  throw malformed(`Content-Encoding '${header?.slice(0, 40)}' is neither gzip nor deflate`);
}

/**
 * @param bytesMax Largest result; a compression bomb is stopped there.
 * @throws {OperatingError} 'infer-request-too-large' above it, 'infer-request-invalid' if the body is not in this coding.
 */
export async function decompress(body: Buffer, coding: ContentCoding, bytesMax: number): Promise<Buffer> {
  if (coding === 'identity') return body;
  try {
    return await decoders[coding](body, { maxOutputLength: bytesMax });
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE')
      throw v2Failure('infer-request-too-large', `The decompressed body is larger than ${formatByteSize(bytesMax)}`, {
        cause: error,
      });
    throw malformed(`The body is not ${coding}: ${errorMessage(error)}`);
  }
}

/** Returns the coding for the response: the first that the client names and does not refuse with `q=0`. */
export function acceptedCoding(header: string | undefined): ContentCoding {
  for (const part of (header ?? '').slice(0, 200).split(',')) {
    const [name, ...options] = part.toLowerCase().split(';');
    const refused = options.some((option) => /^\s*q=0(\.0*)?\s*$/.test(option));
    const coding = name?.trim();
    if (!refused && (coding === 'gzip' || coding === 'deflate')) return coding;
  }
  return 'identity';
}

export type Coded = { readonly body: Uint8Array | string; readonly coding: ContentCoding };

/** Compresses a response if it is large enough. */
export function compress(body: Uint8Array | string, accepted: ContentCoding): Coded | Promise<Coded> {
  const coding = body.length < COMPRESS_BYTES_MIN ? 'identity' : accepted;
  return coding === 'identity' ? { body, coding } : encoders[coding](body).then((coded) => ({ body: coded, coding }));
}
