import { createHash } from 'node:crypto';
import * as z from 'zod';
import { FILES_MAX, isFileName } from './file-name.ts';
import { parseJson, SignatureError } from './signature-error.ts';

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

/** Name of the signature in the folder that it signs. It is the only file that it does not cover. */
export const SIGNATURE_FILE = 'model.sig';

const sha256Text = z.string().regex(/^[0-9a-f]{64}$/, { error: 'is not a SHA-256' });

/** Statement about the files of a model in OpenSSF model signing 1.0. Other members must be ignored. */
const statementSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.tuple([z.object({ name: z.string(), digest: z.object({ sha256: sha256Text }) })]),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: z.object({
    serialization: z.object({ method: z.literal('files'), hash_type: z.literal('sha256') }),
    resources: z
      .array(
        z.object({
          name: z.string().refine(isFileName, { error: 'is not the plain name of a file in the folder' }),
          algorithm: z.literal('sha256'),
          digest: sha256Text,
        }),
      )
      .min(1)
      .max(FILES_MAX),
  }),
});

/** SHA-256 by file name. */
export type FileDigests = ReadonlyMap<string, string>;

/**
 * Returns the in-toto statement to sign.
 *
 * @param subject Display name of the files; verifiers use the digests only.
 * @returns JSON in UTF-8. The bytes are signed, so no canonical form is needed.
 */
export function formatStatement(subject: string, files: FileDigests): Uint8Array {
  const resources = [...files]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, digest]) => ({ name, algorithm: 'sha256', digest }));
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name: subject, digest: { sha256: digestOverAll(resources) } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: {
        method: 'files',
        hash_type: 'sha256',
        allow_symlinks: false,
        ignore_paths: [SIGNATURE_FILE],
      },
      resources,
    },
  };
  return Buffer.from(JSON.stringify(statement));
}

/**
 * Returns the digests of a statement. Its `ignore_paths` are not applied: they would let the sender of a model add files.
 *
 * @throws {SignatureError}
 */
export function parseStatement(payload: Uint8Array): FileDigests {
  const { subject, predicate } = parseJson('signed statement', payload, statementSchema);
  const { resources } = predicate;
  const files = new Map(resources.map(({ name, digest }) => [name, digest]));
  if (files.size < resources.length)
    throw new SignatureError(`has a ${SIGNATURE_FILE} whose signed statement lists a file twice`);
  if (subject[0].digest.sha256 !== digestOverAll(resources))
    throw new SignatureError(`has a ${SIGNATURE_FILE} whose subject is not the digest of the files it lists`);
  return files;
}

/** Returns the SHA-256 over the bytes of all digests, in their order. */
function digestOverAll(resources: readonly { readonly digest: string }[]): string {
  const hash = createHash('sha256');
  for (const { digest } of resources) hash.update(digest, 'hex');
  return hash.digest('hex');
}
