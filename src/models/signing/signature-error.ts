/**
 * Why a signature is not believed, as the rest of a sentence that begins with the version: 'is signed by …', 'has a
 * model.sig that …'. Never leaves this folder: whoever asks gets it as a reason.
 */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
}
