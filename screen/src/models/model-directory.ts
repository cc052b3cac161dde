import { api, readJson } from '../agent/agent-api.ts';
import type { ListedModel, ListedVersion, LoadedModel, VersionDetail } from '../agent/api-types.ts';

export type LoadedModels = { readonly models: readonly LoadedModel[]; readonly incomplete: string | null };

/** Most entries that the agent lists in one page. */
const PAGE_MAX = 500;

/** Reads the first models of the directory, page by page. */
export async function readModels(
  count: number,
): Promise<{ readonly models: readonly ListedModel[]; readonly more: boolean }> {
  const models: ListedModel[] = [];
  let next: string | null = '';
  while (next !== null && models.length < count) {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE_MAX, count - models.length)) });
    if (next !== '') query.set('after', next);
    const page: { models: ListedModel[]; next: string | null } = await readJson(
      `/api/v1/models/directory?${query.toString()}`,
    );
    models.push(...page.models);
    next = page.next;
  }
  return { models, more: next !== null };
}

/** Reads the newest versions of a model. */
export async function readVersions(
  model: string,
  count: number,
): Promise<{ readonly versions: readonly ListedVersion[]; readonly more: boolean }> {
  const page = await readJson<{ versions: ListedVersion[]; next: number | null }>(
    `${pathOf(model)}/versions?limit=${Math.min(PAGE_MAX, count)}`,
  );
  return { versions: page.versions, more: page.next !== null };
}

export function readVersion(model: string, version: number): Promise<VersionDetail> {
  return readJson(`${pathOf(model)}/versions/${version}`);
}

/** Reads a document of a version as text. */
export async function readDocument(model: string, version: number, file: string): Promise<string> {
  return (await api(`${pathOf(model)}/versions/${version}/documents/${encodeURIComponent(file)}`)).text();
}

/** Returns the path of a model in the API. */
export function pathOf(model: string): string {
  return `/api/v1/models/${encodeURIComponent(model)}`;
}
