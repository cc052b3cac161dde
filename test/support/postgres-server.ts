import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import type { TestCertificates } from './broker-certificates.ts';
import { freePort } from './free-port.ts';
import { programPath } from './programs.ts';

/** Returns the path of a program of PostgreSQL 15 or later, for `describeWith`. */
export function postgresProgram(name: string): string {
  const root = '/usr/lib/postgresql';
  const versions = programPath(root) === undefined ? [] : readdirSync(root).toSorted((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(root, version, 'bin', name)).find((path) => programPath(path)) ?? name;
}

/** The server refuses to run as root. */
const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'nobody', '--'] : [];

/** Ends the server when its standard input ends, which is when the test process ends. */
const UNTIL_INPUT_ENDS = 'exec 3<&0; "$@" & server=$!; (cat <&3 >/dev/null; kill -QUIT $server) & wait $server';

/** PostgreSQL as a real process, with its own folder. It can be killed and started again. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'andon-postgres-'));
  #child: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  /** @param settings Lines of postgresql.conf. */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    const server = new PostgresServer(await freePort());
    chmodSync(server.folder, 0o777);
    mkdirSync(join(server.folder, 'socket'));
    chmodSync(join(server.folder, 'socket'), 0o777);
    run('initdb', ['-D', server.data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C']);
    server.configure([
      `port = ${server.port}`,
      `listen_addresses = '127.0.0.1'`,
      `unix_socket_directories = '${join(server.folder, 'socket')}'`,
      `shared_buffers = 16MB`,
      ...settings,
    ]);
    await server.begin();
    return server;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  get url(): string {
    return `postgres://127.0.0.1:${this.port}/postgres`;
  }

  /** Adds lines to postgresql.conf, for the next `begin` or a reload. */
  configure(lines: readonly string[]): void {
    appendFileSync(join(this.data, 'postgresql.conf'), `\n${lines.join('\n')}\n`);
  }

  /** Requires TLS with a client certificate, and a password, of all users but the superuser. For the next `begin`. */
  secure({ ca, server }: TestCertificates): void {
    const { uid, gid } = statSync(this.data);
    const copied = Object.entries({ ca, ...server }).map(([name, path]) => {
      const copy = join(this.data, `${name}.pem`);
      copyFileSync(path, copy);
      chownSync(copy, uid, gid);
      chmodSync(copy, 0o600);
      return [name, copy] as const;
    });
    this.configure(['ssl = on', ...copied.map(([name, path]) => `ssl_${name}_file = '${path}'`)]);
    writeFileSync(
      join(this.data, 'pg_hba.conf'),
      'host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n',
    );
  }

  async begin(): Promise<void> {
    const command = [...asUser, 'sh', '-c', UNTIL_INPUT_ENDS, 'sh', postgresProgram('postgres'), '-D', this.data];
    const [program = '', ...parameters] = command;
    const child = spawn(program, parameters, { stdio: ['pipe', 'ignore', 'pipe'] });
    this.#child = child;
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      if (!line.includes('ready to accept connections')) continue;
      // Unread output would stop the server once the pipe is full.
      child.stderr.resume();
      return;
    }
    throw new Error(`PostgreSQL did not start:\n${lines.join('\n')}`);
  }

  /** SIGKILL of the whole server: it writes nothing more. */
  async kill(): Promise<void> {
    await this.#stop('SIGKILL');
  }

  /** Ends the server as a restart of its service does: connections are closed. */
  async stop(): Promise<void> {
    await this.#stop('SIGINT');
  }

  /** A connection of the superuser. */
  async connect(): Promise<Client> {
    const client = new Client({ host: '127.0.0.1', port: this.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    return client;
  }

  /** Rows of a statement, as the superuser. */
  async query(sql: string, parameters: readonly unknown[] = []): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = await this.connect();
    try {
      return (await client.query<Readonly<Record<string, unknown>>>(sql, [...parameters])).rows;
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop('SIGQUIT');
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #stop(signal: 'SIGKILL' | 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    // The first process of the server: its shell is between it and the test. The others end when they miss it.
    process.kill(Number(readFileSync(join(this.data, 'postmaster.pid'), 'utf8').split('\n')[0]), signal);
    await exited;
    child.stdin?.end();
  }
}

function run(name: string, parameters: readonly string[]): void {
  const [program = '', ...all] = [...asUser, postgresProgram(name), ...parameters];
  execFileSync(program, all, { stdio: ['ignore', 'ignore', 'inherit'], cwd: tmpdir() });
}
