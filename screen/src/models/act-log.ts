import { readJson } from '../agent/agent-api.ts';
import type { ModelAct } from '../agent/api-types.ts';

type Log = {
  readonly intact: boolean;
  readonly broken: { readonly file: string; readonly line: number; readonly reason: string } | null;
  readonly entries: readonly ModelAct[];
};

/** Reads the newest acts on a model, or on one of its versions, the oldest first. Only engineers may. */
export function readActs(model: string, query: { readonly version?: number; readonly limit?: number }): Promise<Log> {
  const values = Object.entries({ model, ...query }).map(([name, value]) => [name, String(value)]);
  return readJson(`/api/v1/models/audit?${new URLSearchParams(values).toString()}`);
}
