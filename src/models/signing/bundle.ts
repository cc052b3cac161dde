import * as z from 'zod';
import { preAuthEncoding } from './dsse.ts';
import { parseJson } from './parse-json.ts';
import type { SigningKey } from './signing-key.ts';
import { signBytes } from './signing-key.ts';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** A hundred files make 30 kB. */
export const BUNDLE_BYTES_MAX = 64_000;

/** Base64 with one spelling for each value: what is no base64 is not skipped, as `Buffer.from` would. */
const base64 = z
  .string()
  .min(1)
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, { error: 'is no base64' })
  .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

/** Of a Sigstore bundle, what the method `key` uses; what else may stand in it proves nothing to us. */
const bundleSchema = z.object({
  mediaType: z.literal(MEDIA_TYPE),
  verificationMaterial: z.object({
    publicKey: z.object(
      { hint: z.string().regex(/^[0-9a-f]{64}$/, { error: 'is not the SHA-256 of a public key' }) },
      { error: 'is missing: it was not signed by the method `key`' },
    ),
  }),
  dsseEnvelope: z.object({
    payload: base64,
    payloadType: z.literal(PAYLOAD_TYPE),
    signatures: z.tuple([z.object({ sig: base64 })], { error: 'must be exactly one' }),
  }),
});

/** What a bundle claims; nothing of it is proved. */
export type Bundle = {
  /** SHA-256 of the public key's PEM. Not signed itself: it tells which key to try. */
  readonly keyId: string;
  readonly payload: Uint8Array;
  /** What the signature must have been made over. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
};

/** @throws {SignatureError} */
export function parseBundle(bytes: Uint8Array): Bundle {
  const { verificationMaterial, dsseEnvelope } = parseJson('bundle', bytes, bundleSchema);
  const { payload, payloadType, signatures } = dsseEnvelope;
  return {
    keyId: verificationMaterial.publicKey.hint,
    payload,
    signedBytes: preAuthEncoding(payloadType, payload),
    signature: signatures[0].sig,
  };
}

/** Signs a statement; the text is a Sigstore bundle as OpenSSF model signing's method `key` writes it. */
export function signedBundle(payload: Uint8Array, key: SigningKey): string {
  const signature = signBytes(key, preAuthEncoding(PAYLOAD_TYPE, payload));
  return JSON.stringify({
    mediaType: MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: key.id }, tlogEntries: [] },
    dsseEnvelope: {
      payload: Buffer.from(payload).toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig: Buffer.from(signature).toString('base64'), keyid: '' }],
    },
  });
}
