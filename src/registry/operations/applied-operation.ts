import type { ModelDirectory } from '../../models/store/model-directory.ts';
import type { AuditRecord } from '../audit/audit-chain.ts';
import { pinnedVersion } from './version-pointers.ts';

/**
 * Returns whether the model directory is in the state that an operation would leave.
 *
 * @param path Absolute path of the model directory.
 * @throws {OperatingError | ConfigError} The directory cannot be read.
 */
export async function isApplied(
  { action, model, version, detail }: AuditRecord,
  directory: ModelDirectory,
  path: string,
): Promise<boolean> {
  const versions = await directory.versions(model);
  switch (action) {
    case 'train':
      return version !== null && versions.includes(version);
    case 'install': {
      if (version === null || !versions.includes(version)) return false;
      // A training may have written this version first.
      const { sha256 } = await directory.find({ name: model, version });
      return detail['sha256'] === undefined || detail['sha256'] === sha256;
    }
    case 'remove':
      return version === null || !versions.includes(version);
    case 'activate':
    case 'rollback':
      return (await directory.activeVersion(model)) === version;
    case 'pin':
      return (await pinnedVersion(path, model)) === version;
    case 'unpin':
      return (await pinnedVersion(path, model)) === undefined;
    case 'mend':
      return true;
  }
}
