/**
 * The bytes that a DSSE signature is made over: type and payload with their lengths, so that neither can be taken for
 * part of the other.
 *
 * @see DSSE protocol v1.0.0, "Signature Definition", PAE.
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}
