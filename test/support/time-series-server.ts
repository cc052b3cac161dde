import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { freePort } from './free-port.ts';
import { programPath } from './programs.ts';

/** A real time series database as a process, with its data in a temporary folder. */
export class TimeSeriesServer implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static #start(name: string, parameters: readonly string[], port: number, folder: string): TimeSeriesServer {
    const child = spawn(programPath(name) ?? name, [...parameters], { stdio: 'ignore' });
    return new TimeSeriesServer(port, child, folder);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Debian's InfluxDB 1.6 with the database `plant`. */
  static async influx(options: { readonly authenticated?: boolean } = {}): Promise<TimeSeriesServer> {
    const folder = mkdtempSync(join(tmpdir(), 'andon-influx-'));
    const [port, backupPort] = [await freePort(), await freePort()];
    const config = join(folder, 'influxdb.conf');
    writeFileSync(
      config,
      `reporting-disabled = true
bind-address = "127.0.0.1:${backupPort}"
[meta]
dir = "${folder}/meta"
[data]
dir = "${folder}/data"
wal-dir = "${folder}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:${port}"
auth-enabled = ${options.authenticated === true}
log-enabled = false
`,
    );
    const server = this.#start('influxd', ['-config', config], port, folder);
    await server.#answers('/ping');
    if (options.authenticated === true)
      await server.query(`CREATE USER andon WITH PASSWORD 'secret' WITH ALL PRIVILEGES`);
    await server.query('CREATE DATABASE plant', loginOf(options));
    return server;
  }

  /** Debian's VictoriaMetrics. */
  static async victoria(): Promise<TimeSeriesServer> {
    const folder = mkdtempSync(join(tmpdir(), 'andon-victoria-'));
    const port = await freePort();
    const listen = `-httpListenAddr=127.0.0.1:${port}`;
    const server = this.#start('victoria-metrics', [listen, `-storageDataPath=${folder}/data`], port, folder);
    await server.#answers('/health');
    return server;
  }

  /** Returns the rows of a query of InfluxDB as objects. */
  async query(q: string, login = ''): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const body = new URLSearchParams({ q, db: 'plant', epoch: 'ns' });
    const headers = login === '' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` };
    const answer = await fetch(`${this.url}/query`, { method: 'POST', body, headers });
    type Series = { readonly columns: readonly string[]; readonly values: readonly (readonly unknown[])[] };
    const { results, error } = (await answer.json()) as {
      readonly results?: readonly { readonly series?: readonly Series[]; readonly error?: string }[];
      readonly error?: string;
    };
    const fault = error ?? results?.[0]?.error;
    if (fault !== undefined) throw new Error(fault);
    return (results?.[0]?.series ?? []).flatMap(({ columns, values }) =>
      values.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]]))),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(path: string): Promise<void> {
    const answer = () => fetch(`${this.url}${path}`);
    await vi.waitFor(answer, { timeout: 60_000, interval: 50 });
  }
}

function loginOf({ authenticated }: { readonly authenticated?: boolean }): string {
  return authenticated === true ? 'andon:secret' : '';
}
