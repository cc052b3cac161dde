import * as z from 'zod';
import { parseJson } from './signature-error.ts';
import { signBytes, type SigningKey } from './signing-key.ts';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** 100 files take 30 kB. */
export const BUNDLE_BYTES_MAX = 64_000;

/** Base64 in canonical form. `Buffer.from` alone would skip invalid characters. */
const base64 = z
  .string()
  .min(1)
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, { error: 'is not base64' })
  .transform((text) => new Uint8Array(Buffer.from(text, 'base64')));

/** The parts of a Sigstore bundle that the method `key` uses. Other parts are ignored. */
const bundleSchema = z.object({
  mediaType: z.literal(MEDIA_TYPE),
  verificationMaterial: z.object({
    publicKey: z.object(
      { hint: z.string().regex(/^[0-9a-f]{64}$/, { error: 'is not the SHA-256 of a public key' }) },
      { error: 'is missing: the bundle was not signed with the method `key`' },
    ),
  }),
  dsseEnvelope: z.object({
    payload: base64,
    payloadType: z.literal(PAYLOAD_TYPE),
    signatures: z.tuple([z.object({ sig: base64 })], { error: 'must be exactly one' }),
  }),
});

/** Content of a bundle, not verified. */
export type Bundle = {
  /** SHA-256 of the PEM of the public key. It is not signed and only selects the key to try. */
  readonly keyId: string;
  readonly payload: Uint8Array;
  /** The bytes that were signed. */
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

/** Signs a statement. Returns a Sigstore bundle for the method `key` of OpenSSF model signing. */
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

/**
 * Returns the bytes that a DSSE signature covers: type and payload, each with its length, so that the boundary between
 * them is unambiguous.
 *
 * @see DSSE protocol v1.0.0, "Signature Definition", PAE.
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}
