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
