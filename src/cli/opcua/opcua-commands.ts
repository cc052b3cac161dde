import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { X509Certificate } from 'node:crypto';
import type { Command } from 'commander';
import { commandFailure } from '../../app/command-errors.ts';
import { loadConfig } from '../../config/config-file.ts';
import { isTopicSafeName } from '../../config/config-schema.ts';
import { tagFileText } from '../../config/config-tag-files.ts';
import { SystemClock } from '../../platform/clock.ts';
import type { BrowsedVariable } from '../../sources/opcua/client/node-browser.ts';
import type { OpcuaSourceConfig } from '../../sources/opcua/opcua-config.ts';
import { opcuaEndpoint } from '../../sources/opcua/opcua-job.ts';
import type { OpcuaEndpoint } from '../../sources/opcua/opcua-protocol.ts';
import { pkiFolderOf } from '../../sources/opcua/pki-folder.ts';
import { positiveNumber, runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';
import { writeTagFile } from '../output/written-file.ts';

type OpcuaOptions = { readonly config: string; readonly json?: boolean };
type TrustOptions = OpcuaOptions & { readonly yes?: boolean };
type BrowseOptions = OpcuaOptions & { readonly tagsFile?: string; readonly max: number };
type CertificateOptions = OpcuaOptions & { readonly renew?: boolean };

const DAY_MS = 24 * 3_600_000;
const EXPIRY_WARNING_MS = 30 * DAY_MS;

/** Defines `andon opcua trust | browse | certificate`. */
export function defineOpcua(opcua: Command): void {
  subcommand(opcua, 'trust', "shows the certificate of a source's server and trusts it after a question")
    .argument('<source>', 'id of the source')
    .option('--yes', 'trusts it without a question')
    .action(runs(trustCommand));
  subcommand(opcua, 'browse', 'lists the variables of a server with their values; never writes')
    .argument('<source>', 'id of the source')
    .option('--tags-file <file>', "write the variables with numbers as a CSV file for 'tags: { file: … }'")
    .option('--max <n>', 'most variables', positiveNumber, 100_000)
    .action(runs(browseCommand));
  subcommand(opcua, 'certificate', "andon's own certificate: path, thumbprint, expiry; makes it if there is none")
    .argument('[source]', 'id of a source with a certificate of its own')
    .option('--renew', 'replaces the certificate that andon made; its key stays')
    .action(runs(certificateCommand));
}

/** `andon opcua trust NAME`. @returns 1 if the certificate is not trusted. */
async function trustCommand(id: string, options: TrustOptions, output: Output): Promise<number> {
  const { endpoint } = await sourceOf(options.config, id);
  if (endpoint.security.policy === 'None') {
    const text = `${id}: security: { policy: None } uses no certificate, so there is nothing to trust`;
    printResult(output, options, { document: { source: id, policy: 'None', trusted: false }, text });
    return 1;
  }
  const { readServerCertificate, trustServer } = await import('../../sources/opcua/client/server-trust.ts');
  const nowMs = new SystemClock().nowMs();
  const { certificate, isTrusted } = await readServerCertificate(endpoint, nowMs);
  const shown = [`certificate of ${endpoint.url}`, ...certificateLines(certificate, nowMs)];
  const isAsked = options.json !== true && options.yes !== true && !isTrusted;
  if (isAsked) output.err(shown.join('\n'));
  const isAccepted = isTrusted || options.yes === true || (isAsked && (await accepts()));
  if (isAccepted && !isTrusted) await trustServer(endpoint.pkiFolder, certificate);
  const verdict = isTrusted
    ? 'already trusted'
    : isAccepted
      ? 'trusted from now on; a running agent uses it for its next connection'
      : 'not trusted: run the command with --yes, or answer yes';
  printResult(output, options, {
    document: { source: id, url: endpoint.url, trusted: isAccepted, ...certificateFacts(certificate) },
    text: isAsked ? verdict : [...shown, verdict].join('\n'),
  });
  return isAccepted ? 0 : 1;
}

/** `andon opcua browse NAME`. @returns 1 if there is no variable. */
async function browseCommand(id: string, options: BrowseOptions, output: Output): Promise<number> {
  const { endpoint } = await sourceOf(options.config, id);
  const [{ openSession }, { browseVariables }] = await Promise.all([
    import('../../sources/opcua/client/opcua-session.ts'),
    import('../../sources/opcua/client/node-browser.ts'),
  ]);
  await using opened = await openSession(endpoint, new SystemClock().nowMs(), () => undefined);
  const variables = await browseVariables(opened.session, options.max);
  const rows = variables.map(({ name, node, type, value, status, unit }) => [
    name,
    node,
    type,
    value,
    unit ?? '',
    status,
  ]);
  printResult(output, options, {
    document: { source: id, url: endpoint.url, variables },
    text:
      rows.length === 0
        ? 'The server has no variables that this user may see.'
        : table(['name', 'node', 'type', 'value', 'unit', 'status'], rows),
  });
  if (options.tagsFile !== undefined) {
    const { tags, left } = tagsOf(variables);
    await writeTagFile(options.tagsFile, tagFileText(tags));
    output.err(
      `${Object.keys(tags).length} tags are in ${options.tagsFile}${left > 0 ? `; ${left} variables without numbers are left out` : ''}`,
    );
  }
  return rows.length === 0 ? 1 : 0;
}

/** `andon opcua certificate`. @returns 1 if it expires within 30 days. */
async function certificateCommand(
  id: string | undefined,
  options: CertificateOptions,
  output: Output,
): Promise<number> {
  const { config } = await loadConfig(options.config, { checkModels: false });
  const configured = id === undefined ? undefined : opcuaSource(config.sources, id).certificate;
  if (options.renew === true && configured !== undefined)
    throw commandFailure(
      'opcua-certificate-configured',
      `${configured.cert} is not made by andon: renew it where it was made`,
    );
  const { openPki, ownCertificate } = await import('../../sources/opcua/client/pki.ts');
  const nowMs = new SystemClock().nowMs();
  const pki = await openPki(pkiFolderOf(dirname(config.outbox.path)));
  try {
    const own = await ownCertificate(pki, configured, nowMs, options.renew);
    const leftMs = Date.parse(own.certificate.validTo) - nowMs;
    const isShort = leftMs < EXPIRY_WARNING_MS;
    const warning =
      leftMs < 0
        ? 'It has expired: renew it with --renew, and trust the new one in the servers'
        : 'It expires soon: renew it with --renew, and trust the new one in the servers';
    printResult(output, options, {
      document: { file: own.certificateFile, applicationUri: own.applicationUri, ...certificateFacts(own.certificate) },
      text: [
        own.certificateFile,
        `application URI  ${own.applicationUri}`,
        ...certificateLines(own.certificate, nowMs),
        ...(isShort ? [warning] : []),
      ].join('\n'),
    });
    return isShort ? 1 : 0;
  } finally {
    await pki.dispose();
  }
}

async function sourceOf(file: string, id: string): Promise<{ readonly endpoint: OpcuaEndpoint }> {
  const { config } = await loadConfig(file, { checkModels: false });
  const source = opcuaSource(config.sources, id);
  return { endpoint: opcuaEndpoint(id, source, pkiFolderOf(dirname(config.outbox.path))) };
}

type Sources = Awaited<ReturnType<typeof loadConfig>>['config']['sources'];

function opcuaSource(sources: Sources, id: string): OpcuaSourceConfig {
  const source = Object.hasOwn(sources, id) ? sources[id] : undefined;
  if (source?.type === 'opcua') return source;
  const ids = Object.entries(sources).flatMap(([each, { type }]) => (type === 'opcua' ? [each] : []));
  throw commandFailure(
    'source-unknown',
    `There is no OPC UA source '${id}'; OPC UA sources: ${ids.join(', ') || 'none'}`,
  );
}

function certificateFacts(certificate: X509Certificate) {
  return {
    subject: certificate.subject.replaceAll('\n', ', '),
    sha1: certificate.fingerprint,
    sha256: certificate.fingerprint256,
    validFrom: new Date(certificate.validFrom).toISOString(),
    validTo: new Date(certificate.validTo).toISOString(),
  };
}

function certificateLines(certificate: X509Certificate, nowMs: number): readonly string[] {
  const { subject, sha1, sha256, validFrom, validTo } = certificateFacts(certificate);
  const days = Math.floor((Date.parse(validTo) - nowMs) / DAY_MS);
  return [
    `subject          ${subject}`,
    `names            ${certificate.subjectAltName ?? ''}`,
    `valid            ${validFrom.slice(0, 10)} to ${validTo.slice(0, 10)} (${days} days left)`,
    `SHA-1            ${sha1}`,
    `SHA-256          ${sha256}`,
  ];
}

/** Asks on the terminal. Without one, the answer is no. */
async function accepts(): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question('Does it agree with the certificate of the server? Trust it (yes/no): ');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** Returns a tag for each number of the variables. */
function tagsOf(variables: readonly BrowsedVariable[]) {
  const tags: Record<string, unknown> = {};
  for (const { name, node, unit, range, paths } of variables)
    for (const path of paths) {
      const tag = uniqueName(path === undefined ? name : joined(name, path), tags);
      const whole = paths.length === 1 && path === undefined;
      tags[tag] = { node, path, ...(whole ? { unit, range } : { unit }) };
    }
  return { tags, left: variables.filter(({ paths }) => paths.length === 0).length };
}

function joined(name: string, path: string): string {
  return path.startsWith('[') ? `${name}${path}` : `${name}.${path}`;
}

/** Tag names must be topics and unique; browse names need be neither. */
function uniqueName(name: string, tags: Readonly<Record<string, unknown>>): string {
  const safe = name
    .replaceAll(/[+#/\p{Cc}]/gu, '_')
    .replace(/^[$\s]+/, '')
    .trim();
  const base = isTopicSafeName(safe) ? safe : `node-${Object.keys(tags).length + 1}`;
  if (!Object.hasOwn(tags, base)) return base;
  for (let number = 2; ; number += 1) if (!Object.hasOwn(tags, `${base}-${number}`)) return `${base}-${number}`;
}
