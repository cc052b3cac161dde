import type { AuditRecord } from '../audit/audit-chain.ts';
import { pinnedVersion } from './version-pointers.ts';
import type { ModelDirectory } from '../../models/store/model-directory.ts';

/**
 * Whether the model directory is as an act would have left it.
 *
 * @param path Of the directory.
 * @throws {OperatingError | ConfigError} The directory does not say.
 */
export async function isApplied(
  { action, model, version, detail }: AuditRecord,
  directory: ModelDirectory,
  path: string,
): Promise<boolean> {
  const versions = await directory.versions(model);
  switch (action) {
    case 'train':
      return versions.includes(version ?? 0);
    case 'install': {
      if (version === null || !versions.includes(version)) return false;
      // A training may have taken the version before it.
      const { sha256 } = await directory.find({ name: model, version });
      return detail['sha256'] === undefined || detail['sha256'] === sha256;
    }
    case 'remove':
      return !versions.includes(version ?? 0);
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
