import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { stringify } from 'yaml';

export type LogLine = { readonly level: number; readonly msg: string; readonly [field: string]: unknown };

const checkout = join(import.meta.dirname, '../../bin/andon.js');

/** The daemon as its user runs it: `andon run -c FILE`, a process of its own. */
export class AgentProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  /** Text on standard error: empty in a healthy run. */
  stderr = '';
  /** Resolves once it logs 'Started.'; rejects if it ends before. */
  readonly started: Promise<void>;
  readonly #exit: Promise<readonly unknown[]>;
  readonly #listeners = new Set<(line: LogLine) => void>();

  private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.child = child;
    // With 'close' all that it wrote is read.
    this.#exit = once(child, 'close');
    child.stderr.on('data', (data: Buffer) => (this.stderr += data.toString()));
    createInterface(child.stdout).on('line', (text) => this.#take(text));
    const ended = this.#exit.then(([code, signal]) => {
      throw new Error(`andon run ended with ${String(code ?? signal)}: ${this.stderr}`);
    });
    this.started = Promise.race([this.logged(({ msg }) => msg === 'Started.').then(() => undefined), ended]);
    // A test that kills it during its start does not wait for it.
    this.started.catch(() => undefined);
  }

  /** Returns immediately; `env` is on top of the test's own, `program` another than the checkout's. */
  static spawn(configFile: string, env: NodeJS.ProcessEnv = {}, program = checkout): AgentProcess {
    const child = spawn(process.execPath, [program, 'run', '-c', configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    return new AgentProcess(child);
  }

  /** Resolves once it logs 'Started.'; rejects if it ends before. */
  static async start(configFile: string, env?: NodeJS.ProcessEnv, program?: string): Promise<AgentProcess> {
    const agent = AgentProcess.spawn(configFile, env, program);
    await agent.started;
    return agent;
  }

  /** The first line of its log that fits, past or to come. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    const past = this.log.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => {
      const listener = (line: LogLine): void => {
        if (!fits(line)) return;
        this.#listeners.delete(listener);
        resolve(line);
      };
      this.#listeners.add(listener);
    });
  }

  /** Resolves with the URL of its first model server, once that listens. */
  async modelServerUrl(): Promise<string> {
    return String((await this.logged(({ msg }) => msg === 'The model server listens.'))['url']);
  }

  /** URL of its HTTP listener, from its log. */
  get httpUrl(): string {
    return String(this.log.find(({ msg }) => msg === 'Started.')?.['http']);
  }

  /** @returns Exit code, or the signal that ended it. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    this.child.kill(signal);
    return this.ended();
  }

  /** Waits for its end. @returns Exit code, or the signal that ended it. */
  async ended(): Promise<number | string> {
    const [code, by] = await this.#exit;
    return (code ?? by) as number | string;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
  }

  #take(text: string): void {
    const line = parseLine(text);
    // A killed process may leave half a line; in any other life this is as wrong as standard error.
    if (line === undefined) {
      this.stderr += `${text}\n`;
      return;
    }
    this.log.push(line);
    for (const listener of this.#listeners) listener(line);
  }
}

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}

/** A folder for one agent: its configuration and its records. */
export class AgentFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'andon-agent-'));
  readonly configFile = join(this.path, 'andon.yaml');

  /** Sections as an object; `outbox.path` and a free HTTP port are filled in. */
  configure(sections: Readonly<Record<string, unknown>> & { readonly outbox?: object }): void {
    const outbox = { path: 'outbox.db', ...sections.outbox };
    writeFileSync(
      this.configFile,
      // Tests that take long on a busy machine count the alarms of their own.
      stringify({
        agent: { id: 'edge' },
        http: { listen: '127.0.0.1:0' },
        alarms: { diagnostic: 'off' },
        ...sections,
        outbox,
      }),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
