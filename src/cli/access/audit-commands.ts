import type { Command } from 'commander';
import { loadConfig } from '../../config/config-file.ts';
import { SystemClock } from '../../platform/clock.ts';
import { type Chained, modelAudit } from '../../registry/audit/audit-chain.ts';
import { AuditLog, type ChainReport } from '../../registry/audit/audit-log.ts';
import { readOperatorLog } from '../../web/access/operator-audit.ts';
import { configOption, jsonOption, runs } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';

type AuditOptions = { readonly config: string; readonly json?: boolean };

/** The two audit logs of a box, by name. */
type Logs = Readonly<Record<'operators' | 'models', ChainReport<Chained>>>;

/** Defines `andon audit verify | export`. */
export function defineAudit(audit: Command): void {
  audit
    .command('verify')
    .description('checks the hash chains of both logs; exit 1 with the first broken line')
    .addOption(configOption)
    .addOption(jsonOption)
    .action(runs(verifyCommand));
  audit
    .command('export')
    .description('the records of both logs as JSON lines, oldest first')
    .addOption(configOption)
    .action(runs(exportCommand));
}

async function verifyCommand(options: AuditOptions, output: Output): Promise<number> {
  const logs = Object.entries(await readLogs(options.config));
  const lines = logs.map(([name, { entries, broken }]) =>
    broken === undefined
      ? `${name}: ${entries.length} records, the chain is intact; the last hash is ${entries.at(-1)?.hash ?? 'none'}`
      : `${name}: line ${broken.line} of ${broken.file} ${broken.reason}`,
  );
  const summary = logs.map(([name, { entries, broken }]) => {
    const head = entries.at(-1)?.hash ?? null;
    return [name, { records: entries.length, head, broken: broken ?? null }] as const;
  });
  const isIntact = logs.every(([, { broken }]) => broken === undefined);
  printResult(output, options, {
    document: { ok: isIntact, ...Object.fromEntries(summary) },
    text: lines.join('\n'),
  });
  return isIntact ? 0 : 1;
}

async function exportCommand(options: AuditOptions, output: Output): Promise<number> {
  const logs = Object.entries(await readLogs(options.config));
  const records = logs.flatMap(([log, { entries }]) => entries.map((entry) => ({ log, ...entry })));
  for (const record of records.toSorted((a, b) => a.timestamp_ms - b.timestamp_ms)) output.out(JSON.stringify(record));
  const broken = logs.filter(([, report]) => report.broken !== undefined).map(([name]) => name);
  if (broken.length > 0) output.err(`The log of ${broken.join(' and ')} is broken: andon audit verify shows where`);
  return broken.length > 0 ? 1 : 0;
}

async function readLogs(file: string): Promise<Logs> {
  const { outbox, models } = (await loadConfig(file, { checkModels: false })).config;
  const clock = new SystemClock();
  const [operators, ofModels] = await Promise.all([
    readOperatorLog(outbox.path, { clock }),
    new AuditLog(models.directory, clock, modelAudit).report(),
  ]);
  return { operators, models: ofModels };
}
