import { loadConfig } from '../../config/config-file.ts';
import type { ModelStatus } from '../../contracts/inference.ts';
import { formatModelReference, type ModelReference } from '../../domain/model/model-reference.ts';
import { ModelDirectory, type StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { probeModels } from '../../offline/model-probe.ts';
import { ConfigError, OperatingError } from '../../platform/errors.ts';
import { readableRejections } from '../../registry/operations/rejected-versions.ts';
import { pinnedVersion } from '../../registry/operations/version-pointers.ts';
import { type Output, printResult } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';
import { table } from '../output/table.ts';

type ListedModel = Pick<ModelStatus, 'name' | 'version' | 'provider' | 'fallbacks' | 'reason'> & {
  readonly active: boolean;
  readonly pinned: boolean;
  readonly task: string | undefined;
  /** `stored` if it was not loaded, because it is not active. */
  readonly state: ModelStatus['state'] | 'stored';
};

/**
 * `andon models list`: lists every version. The active ones are loaded, to find the provider that each runs on and why
 * the providers before it were not used.
 *
 * @returns 1 if an active model cannot be used.
 */
export async function modelsListCommand(
  options: { readonly config: string; readonly json?: boolean },
  output: Output,
): Promise<number> {
  const { models } = (await loadConfig(options.config)).config;
  const rows = await listModels(models);
  const columns = ['model', 'version', 'active', 'task', 'state', 'provider', 'reason'];
  printResult(output, options, {
    // The JSON has an empty text for a version without a reason.
    document: { directory: models.directory, models: rows.map((row) => ({ ...row, reason: row.reason ?? '' })) },
    text: rows.length === 0 ? `There is no model in ${models.directory}.` : table(columns, rows.map(cells)),
  });
  return rows.some(({ active, state }) => active && state !== 'ready') ? 1 : 0;
}

async function listModels(models: ModelsConfig): Promise<readonly ListedModel[]> {
  const directory = ModelDirectory.of(models);
  const names = await directory.names();
  const active: ModelReference[] = [];
  for (const name of names) {
    const version = await directory.activeVersion(name);
    if (version !== undefined) active.push({ name, version });
  }
  const labels = new Set(active.map(formatModelReference));
  // The fallback of a remote model is loaded too, but it is not an active version.
  const probed = (await probeModels(models, active, systemDeps())).filter((status) =>
    labels.has(formatModelReference(status)),
  );
  const statuses = new Map(probed.map((status) => [formatModelReference(status), status]));
  const rows: ListedModel[] = [];
  for (const name of names) {
    const pinned = await pinnedVersion(models.directory, name).catch(() => undefined);
    const rejections = await readableRejections(models.directory, name);
    for (const version of await directory.versions(name)) {
      const status = statuses.get(formatModelReference({ name, version }));
      const stored = await findOrProblem(directory, { name, version });
      const problem = typeof stored === 'string' ? stored : undefined;
      const rejection = rejections.find((candidate) => candidate.version === version);
      rows.push({
        name,
        version,
        active: status !== undefined,
        pinned: version === pinned,
        task: typeof stored === 'string' ? undefined : stored.manifest.task,
        state: status?.state ?? (problem === undefined ? 'stored' : 'failed'),
        provider: status?.provider,
        fallbacks: status?.fallbacks ?? [],
        reason: status === undefined ? (problem ?? rejectionText(rejection)) : status.reason,
      });
    }
  }
  return rows;
}

function rejectionText(rejection: { readonly reason: string } | undefined): string | undefined {
  return rejection === undefined ? undefined : `rejected: ${rejection.reason}`;
}

async function findOrProblem(directory: ModelDirectory, model: ModelReference): Promise<StoredModel | string> {
  try {
    return await directory.find(model);
  } catch (error) {
    if (error instanceof ConfigError || error instanceof OperatingError) return error.message.split('\n')[0] ?? '';
    throw error;
  }
}

function cells(row: ListedModel): readonly string[] {
  const fallbacks = row.fallbacks.map(({ provider, reason }) => `not on ${provider}: ${reason}`);
  const reasons = [...(row.reason === undefined ? [] : [row.reason]), ...fallbacks].join('; ');
  const active = row.active ? (row.pinned ? 'pinned' : 'yes') : '';
  return [row.name, String(row.version), active, row.task ?? '', row.state, row.provider ?? '', reasons];
}
