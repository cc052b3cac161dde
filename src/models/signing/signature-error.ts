import type * as z from 'zod';

/**
 * The reason why a signature is refused, as the rest of a sentence after the version: 'is signed by …', 'has a model.sig
 * that …'. Callers outside this folder receive the message as a reason.
 */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
}

/**
 * Parses bytes as JSON and checks them against a schema.
 *
 * @throws {SignatureError} Names the first invalid field.
 */
export function parseJson<T>(what: string, bytes: Uint8Array, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(jsonValue(what, bytes));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  throw new SignatureError(`has a model.sig whose ${what} is invalid at '${field}': ${issue?.message ?? ''}`);
}

function jsonValue(what: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SignatureError(`has a model.sig whose ${what} is not JSON`, { cause: error });
  }
}
