import type { Command } from 'commander';
import { loadConfig } from '../../config/config-file.ts';
import { SystemClock } from '../../platform/clock.ts';
import { type Chained, modelAudit } from '../../registry/audit/audit-chain.ts';
import { AuditLog, type ChainReport } from '../../registry/audit/audit-log.ts';
import { readOperatorLog } from '../../web/access/operator-audit.ts';
import { configOption, runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';

type AuditOptions = { readonly config: string; readonly json?: boolean };

/** The two audit logs of a box, by name. */
type Logs = Readonly<Record<'operators' | 'models', ChainReport<Chained>>>;

/** Defines `andon audit verify | export`. */
export function defineAudit(audit: Command): void {
  subcommand(audit, 'verify', 'checks the hash chains of both logs; exit 1 with the first line that is wrong').action(
    runs(verifyCommand),
  );
  audit
    .command('export')
    .description('the records of both logs as JSON lines, oldest first')
    .addOption(configOption)
    .action(runs(exportCommand));
}

async function verifyCommand(options: AuditOptions, output: Output): Promise<number> {
  const logs = Object.entries(await readLogs(options.config));
  const summary = logs.map(([name, { entries, broken, key, lastBeforeKey }]) => {
    const head = entries.at(-1)?.hash ?? null;
    const document = { records: entries.length, head, broken: broken ?? null, key };
    return [name, { ...document, last_before_key: lastBeforeKey ?? null }] as const;
  });
  const isProved = logs.every(([, report]) => problemOf(report) === undefined);
  printResult(output, options, {
    document: { ok: isProved, ...Object.fromEntries(summary) },
    text: logs.map(([name, report]) => `${name}: ${problemOf(report) ?? successOf(report)}`).join('\n'),
  });
  return isProved ? 0 : 1;
}

function successOf({ entries, key }: ChainReport<Chained>): string {
  const proof = key === 'proved' ? ', and the key proves it' : ', without a key (audit.key)';
  return `${entries.length} records, the chain is intact${proof}; the last hash is ${entries.at(-1)?.hash ?? 'none'}`;
}

function problemOf({ broken, key, lastBeforeKey }: ChainReport<Chained>): string | undefined {
  if (broken === undefined)
    return key === 'missing'
      ? 'its records were written with a key, and the configuration names none. Set audit.key: without it, a log that was written again as a whole looks intact'
      : undefined;
  const hint =
    lastBeforeKey === undefined
      ? ''
      : `. If the key was set or renewed later, and the records before it are right, add the hash of the last of them to audit.after: ${lastBeforeKey}`;
  return `line ${broken.line} of ${broken.file} ${broken.reason}${hint}`;
}

async function exportCommand(options: AuditOptions, output: Output): Promise<number> {
  const logs = Object.entries(await readLogs(options.config));
  const records = logs.flatMap(([log, { entries }]) => entries.map((entry) => ({ log, ...entry })));
  for (const record of records.toSorted((a, b) => a.timestamp_ms - b.timestamp_ms)) output.out(JSON.stringify(record));
  const broken = logs.filter(([, report]) => problemOf(report) !== undefined).map(([name]) => name);
  if (broken.length > 0) output.err(`The log of ${broken.join(' and ')} is not proved: andon audit verify shows why`);
  return broken.length > 0 ? 1 : 0;
}

async function readLogs(file: string): Promise<Logs> {
  const { outbox, models, audit } = (await loadConfig(file, { checkModels: false })).config;
  const clock = new SystemClock();
  const [operators, ofModels] = await Promise.all([
    readOperatorLog(outbox.path, audit, { clock }),
    new AuditLog({ directory: models.directory, config: audit, format: modelAudit, clock }).report(),
  ]);
  return { operators, models: ofModels };
}
