import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseModelReference } from '../../domain/model/model-reference.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { readKeyText } from '../../models/signing/key-files.ts';
import type { SignatureReport } from '../../models/signing/signature-report.ts';
import { signatureReport } from '../../models/signing/signature-report.ts';
import { trustedKeys } from '../../models/signing/trusted-keys.ts';
import { OperatingError } from '../../platform/errors.ts';
import type { Output } from '../output/output.ts';

/** Whether an argument names a folder, and no model of the configured directory: `./1`, `build/pump`, `.`. */
export function namesFolder(text: string): boolean {
  return parseModelReference(text) === undefined && (text.includes('/') || text.startsWith('.'));
}

/**
 * `andon models verify FOLDER --key PUB`: the signature alone, without a configuration.
 *
 * @returns 1 where that key has not signed the folder as it is.
 */
export async function modelsVerifyFolderCommand(
  text: string,
  options: { readonly key?: string; readonly json?: boolean },
  output: Output,
): Promise<number> {
  const keys = options.key === undefined ? undefined : trustedKeys(await trustInOnly(options.key));
  const folder = resolve(text);
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new OperatingError('model-file-invalid', 'reject', `${text}: there is no such folder`);
  // A folder that somebody names is read for as long as it takes: how large a model may be is for each box to say.
  const signature = await signatureReport(folder, keys, Infinity);
  if (options.json === true) output.out(JSON.stringify({ folder, signature }));
  else output.out(`${text}: ${signatureText(signature)}`);
  return signature.state === 'trusted' ? 0 : 1;
}

/** `models.trust` with one key and no other. */
export async function trustInOnly(keyFile: string): Promise<NonNullable<ModelsConfig['trust']>> {
  return { keys: [{ file: keyFile, pem: (await readKeyText(keyFile)).text }] };
}

export function signatureText(signature: SignatureReport): string {
  switch (signature.state) {
    case 'unsigned':
      return 'unsigned';
    case 'trusted':
      return `signed by ${signature.key}, trusted`;
    case 'unchecked':
      return `signed by ${signature.key}, which was not checked: neither --key nor models.trust names a key`;
    case 'refused':
      return `signature refused: it ${signature.reason}`;
  }
}
