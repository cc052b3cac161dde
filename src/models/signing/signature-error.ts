/**
 * The reason why a signature is refused, as the rest of a sentence after the version: 'is signed by …', 'has a model.sig
 * that …'. Callers outside this folder receive the message as a reason.
 */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
}
