import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programPath } from './programs.ts';

type Pair = { readonly cert: string; readonly key: string };

/** A test authority and its certificates: a server on 127.0.0.1 or lake.example, and a client. */
export class TestCertificates implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'andon-certificates-'));
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;

  private constructor() {
    const authority = this.#pair('ca');
    this.ca = authority.cert;
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey('ca'),
      '-out',
      authority.cert,
      '-subj',
      '/CN=test authority',
      '-days',
      '2',
    );
    this.server = this.#signed('server', 'subjectAltName=IP:127.0.0.1,DNS:lake.example');
    this.client = this.#signed('client', 'extendedKeyUsage=clientAuth');
  }

  static make(): TestCertificates {
    return new TestCertificates();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #signed(name: string, extension: string): Pair {
    const pair = this.#pair(name);
    const request = join(this.#folder, `${name}.csr`);
    const extensions = join(this.#folder, `${name}.ext`);
    writeFileSync(extensions, `${extension}\n`);
    this.#openssl('req', ...this.#newKey(name), '-out', request, '-subj', `/CN=${name}`);
    const by = ['-CA', this.ca, '-CAkey', this.#pair('ca').key, '-CAcreateserial'];
    this.#openssl('x509', '-req', '-in', request, ...by, '-out', pair.cert, '-days', '2', '-extfile', extensions);
    return pair;
  }

  #newKey(name: string): readonly string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', this.#pair(name).key];
  }

  #pair(name: string): Pair {
    return { cert: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) };
  }

  #openssl(...args: readonly string[]): void {
    execFileSync(programPath('openssl') ?? 'openssl', args, { stdio: 'ignore' });
  }
}
