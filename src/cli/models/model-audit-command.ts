import { loadConfig } from '../../config/config-file.ts';
import type { AuditEntry, AuditReport } from '../../contracts/model-registry.ts';
import { openRegistry } from './open-registry.ts';
import type { Output } from '../output/output.ts';
import { table } from '../output/table.ts';

export type ModelAuditOptions = { readonly config: string; readonly contains?: string; readonly json?: boolean };

const REASON_LENGTH_MAX = 120;

/**
 * `andon models audit`: what was done to the model directory, and whether the log still is what was written.
 * @returns 1 where it is not.
 */
export async function modelsAuditCommand(options: ModelAuditOptions, output: Output): Promise<number> {
  const loaded = await loadConfig(options.config, { models: 'unchecked' });
  const report = await openRegistry(loaded).audit();
  const problem = problemOf(report, options.contains);
  const { entries, broken } = report;
  const head = entries.at(-1)?.hash ?? null;
  if (options.json === true)
    output.out(JSON.stringify({ intact: problem === undefined, problem, broken: broken ?? null, head, entries }));
  else {
    if (entries.length > 0)
      output.out(table(['', 'time', 'actor', 'action', 'model', 'outcome', 'detail'], entries.map(cells)));
    output.out(
      problem ?? `${entries.length} lines, each following the one before; the last hash is ${head ?? 'none'}.`,
    );
  }
  return problem === undefined ? 0 : 1;
}

function problemOf({ entries, broken }: AuditReport, contains: string | undefined): string | undefined {
  if (broken !== undefined) return `The log is broken: line ${broken.line} of ${broken.file} ${broken.reason}`;
  if (contains !== undefined && !entries.some(({ hash }) => hash === contains))
    return `The log no longer has the line with hash ${contains}: it was cut or written anew`;
  return undefined;
}

function cells({ sequence, timestamp_ms, actor, action, model, version, outcome, detail }: AuditEntry) {
  const label = version === null ? model : `${model}@${version}`;
  const reason = typeof detail['reason'] === 'string' ? detail['reason'].slice(0, REASON_LENGTH_MAX) : '';
  const time = new Date(timestamp_ms).toISOString();
  return [String(sequence), time, actor, action, label, outcome, reason.replaceAll('\n', ' ')];
}
