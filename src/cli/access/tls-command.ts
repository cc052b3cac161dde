import { chmod, mkdir, readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { SystemClock } from '../../platform/clock.ts';
import { errorCode } from '../../platform/errors.ts';
import { runs, subcommand } from '../output/command.ts';
import { type Output, printResult } from '../output/output.ts';
import { accessPaths } from './access-paths.ts';
import { writeOwnFile, writePrivateFile, writePublicFile } from './private-file.ts';

type TlsInitOptions = { readonly config: string; readonly name?: readonly string[]; readonly json?: boolean };

/** Defines `andon tls init`. */
export function defineTls(tls: Command): void {
  subcommand(
    tls,
    'init',
    'makes a certificate authority for this box and a certificate for its endpoints; renews the certificate if the authority exists',
  )
    .option('--name <name...>', 'further names or addresses under which the box is reached')
    .action(runs(tlsInitCommand));
}

/** `andon tls init`: writes `tls/ca.pem`, `ca.key`, `box.pem` and `box.key` next to the configuration. */
async function tlsInitCommand(options: TlsInitOptions, output: Output): Promise<number> {
  const { agentId, outboxPath, tlsFolder: directory, hasTlsKey } = await accessPaths(options.config);
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const file = (name: string) => join(directory, name);
  const names = [...new Set([...ownNames(), ...(options.name ?? [])])];
  const nowMs = new SystemClock().nowMs();
  // Only this command needs the library, which takes longer to load than other commands to run.
  const { CertificateAuthority } = await import('./certificate-authority.ts');
  const known = await readAuthority(file('ca.pem'), file('ca.key'));
  const authority =
    known === undefined
      ? await CertificateAuthority.make(agentId, nowMs)
      : await CertificateAuthority.read(known.certificate, known.key);
  const { certificate, key, notAfter } = await authority.certificateFor(names, nowMs);
  if (known === undefined) {
    // Not for the agent, which never signs.
    await writeOwnFile(file('ca.key'), await authority.key());
    await writePublicFile(file('ca.pem'), authority.pem);
  }
  // An agent that reads in between reports that the two do not fit, and reads again.
  await writePrivateFile(file('box.key'), key, outboxPath);
  await writePublicFile(file('box.pem'), certificate);
  const expires = notAfter.toISOString().slice(0, 10);
  const shown = relative(dirname(resolve(options.config)), directory);
  const section = `tls: { cert: ${shown}/box.pem, key: ${shown}/box.key }`;
  const lines = [
    `${file('box.pem')} is a certificate for ${names.join(', ')}. It expires on ${expires}; andon tls init renews it.`,
    ...(hasTlsKey ? [] : [`Add to section http: ${section}`]),
    `Install ${file('ca.pem')} as an authority on the machines that open the page. Keep ca.key secret: it can make certificates for any name.`,
  ];
  printResult(output, options, { document: { ok: true, directory, names, expires }, text: lines.join('\n') });
  return 0;
}

/** Names and addresses under which clients reach this box. */
function ownNames(): readonly string[] {
  const name = hostname();
  const addresses = Object.values(networkInterfaces()).flatMap((interfaces = []) =>
    interfaces.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address),
  );
  return ['localhost', '127.0.0.1', '::1', name, ...(name.includes('.') ? [] : [`${name}.local`]), ...addresses];
}

type AuthorityFiles = { readonly certificate: string; readonly key: string };

/** @returns Undefined if there is no authority yet. @throws {Error} One of its files cannot be read. */
async function readAuthority(certificate: string, key: string): Promise<AuthorityFiles | undefined> {
  try {
    return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
