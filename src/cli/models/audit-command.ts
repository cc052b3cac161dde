import { loadConfig } from '../../config/config-file.ts';
import type { AuditEntry } from '../../contracts/model-audit-entry.ts';
import type { AuditReport } from '../../contracts/model-registry.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';
import { openRegistry } from './open-registry.ts';

export type AuditOptions = { readonly config: string; readonly contains?: string; readonly json?: boolean };

const REASON_LENGTH_MAX = 120;

/**
 * `andon models audit`: shows the audit log and checks its chain.
 *
 * @returns 1 if the chain is broken or lacks the hash of `--contains`.
 */
export async function modelsAuditCommand(options: AuditOptions, output: Output): Promise<number> {
  const report = await openRegistry(await loadConfig(options.config, { checkModels: false })).audit();
  const problem = problemOf(report, options.contains);
  const { entries, broken } = report;
  const head = entries.at(-1)?.hash ?? null;
  const summary = problem ?? `${entries.length} lines, the chain is intact; the last hash is ${head ?? 'none'}.`;
  const columns = ['', 'time', 'actor', 'action', 'model', 'outcome', 'detail'];
  printResult(output, options, {
    document: { intact: problem === undefined, problem, broken: broken ?? null, head, entries },
    text: [...(entries.length > 0 ? [table(columns, entries.map(cells))] : []), summary].join('\n'),
  });
  return problem === undefined ? 0 : 1;
}

function problemOf({ entries, broken }: AuditReport, contains: string | undefined): string | undefined {
  if (broken !== undefined) return `The log is broken: line ${broken.line} of ${broken.file} ${broken.reason}`;
  if (contains !== undefined && !entries.some(({ hash }) => hash === contains))
    return `The log does not contain the hash ${contains}: lines were deleted, or the log was replaced`;
  return undefined;
}

function cells({ sequence, timestamp_ms, actor, action, model, version, outcome, detail }: AuditEntry) {
  const label = version === null ? model : `${model}@${version}`;
  const reason = typeof detail['reason'] === 'string' ? detail['reason'].slice(0, REASON_LENGTH_MAX) : '';
  const time = new Date(timestamp_ms).toISOString();
  return [String(sequence), time, actor, action, label, outcome, reason.replaceAll('\n', ' ')];
}
