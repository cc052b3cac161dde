import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';

export type LogLine = { readonly level: number; readonly msg: string; readonly [field: string]: unknown };

const program = join(import.meta.dirname, '../../bin/andon.js');

/** The daemon as its user runs it: `andon run -c FILE`, a process of its own. */
export class AgentProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  /** What came on standard error: nothing, in a healthy life. */
  stderr = '';
  readonly #exit: Promise<readonly unknown[]>;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.#exit = once(child, 'exit');
    child.stderr?.on('data', (data: Buffer) => (this.stderr += data.toString()));
  }

  /** Resolves once it says 'Started.'; rejects where it ends before. */
  static async start(configFile: string): Promise<AgentProcess> {
    const child = spawn(process.execPath, [program, 'run', '-c', configFile], { stdio: ['ignore', 'pipe', 'pipe'] });
    const agent = new AgentProcess(child);
    const started = new Promise<void>((resolve, reject) => {
      createInterface(child.stdout).on('line', (text) => {
        const line = JSON.parse(text) as LogLine;
        agent.log.push(line);
        if (line.msg === 'Started.') resolve();
      });
      void agent.#exit.then(([code, signal]) =>
        reject(new Error(`andon run ended with ${String(code ?? signal)}: ${agent.stderr}`)),
      );
    });
    await started;
    return agent;
  }

  /** Where it listens for HTTP, as it says itself. */
  get httpUrl(): string {
    return String(this.log.find(({ msg }) => msg === 'Started.')?.['http']);
  }

  /** @returns Exit code, or the signal that ended it. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    this.child.kill(signal);
    const [code, by] = await this.#exit;
    return (code ?? by) as number | string;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
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
      stringify({ agent: { id: 'edge' }, http: { listen: '127.0.0.1:0' }, ...sections, outbox }),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
