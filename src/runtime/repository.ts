import type { ModelStatus, RepositoryEntry } from '../contracts/inference.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ModelDirectory } from '../models/store/model-directory.ts';
import { UNVERIFIED } from './host/model-report.ts';

/** Returns every version on disk with its state, by name and version. */
export async function repositoryEntries(
  directory: ModelDirectory,
  statuses: readonly ModelStatus[],
): Promise<readonly RepositoryEntry[]> {
  const names = await directory.names();
  const entries = await Promise.all(names.map((name) => entriesOf(directory, name, statuses)));
  return entries.flat();
}

async function entriesOf(
  directory: ModelDirectory,
  name: string,
  statuses: readonly ModelStatus[],
): Promise<readonly RepositoryEntry[]> {
  const [versions, active] = await Promise.all([
    directory.versions(name),
    directory.activeVersion(name).catch(() => undefined),
  ]);
  return Promise.all(
    versions.map(async (version) => {
      // A model that was named without version, and whose model.yaml cannot be read, has no version.
      const own = statuses.filter(
        (status) =>
          status.name === name && (status.version === version || (status.version === 0 && version === active)),
      );
      // Two copies of a model may differ for a moment; a copy that is ready counts.
      const status = own.find(({ state }) => state === 'ready') ?? own[0];
      const reason =
        status?.state === 'ready' || status === undefined ? await remark(directory, name, version) : status.reason;
      return { name, version, state: status?.state ?? 'unloaded', reason, active: version === active };
    }),
  );
}

/** Returns the remark for a version that is not loaded, or that runs. */
async function remark(directory: ModelDirectory, name: string, version: number): Promise<string | undefined> {
  try {
    const { manifest } = await directory.find({ name, version });
    return manifest.golden.length === 0 ? UNVERIFIED : undefined;
  } catch (error) {
    return errorMessage(error);
  }
}
