import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port.ts';
import { programPath } from './programs.ts';

export type MosquittoOptions = {
  /** 0 takes a free port. */
  readonly port?: number;
  /** Password by user; without users every client may log in. */
  readonly users?: Readonly<Record<string, string>>;
  /** Text of an ACL file; without one every client has all rights. */
  readonly acl?: string;
  /** Further lines of the configuration. */
  readonly lines?: readonly string[];
};

/** Debian's mosquitto as a real process, with its own configuration in a temporary folder. */
export class Mosquitto implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const port = options.port === undefined || options.port === 0 ? await freePort() : options.port;
    const folder = mkdtempSync(join(tmpdir(), 'andon-mosquitto-'));
    const config = join(folder, 'mosquitto.conf');
    writeFileSync(config, configuration(folder, port, options));
    const child = spawn(programPath('mosquitto') ?? 'mosquitto', ['-c', config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const mosquitto = new Mosquitto(port, child, folder);
    await mosquitto.#running();
    return mosquitto;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  /** Kills the broker without a DISCONNECT, like a power cut. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill(signal);
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #running(): Promise<void> {
    const lines: string[] = [];
    for await (const line of createInterface({ input: this.#child.stderr ?? process.stdin })) {
      lines.push(line);
      if (!/mosquitto version .* running/.test(line)) continue;
      // Unread output would stop the broker once the pipe is full.
      this.#child.stderr?.resume();
      return;
    }
    throw new Error(`mosquitto did not start:\n${lines.join('\n')}`);
  }
}

function configuration(folder: string, port: number, { users, acl, lines = [] }: MosquittoOptions): string {
  const passwords = join(folder, 'passwords');
  const acls = join(folder, 'acl');
  if (acl !== undefined) writeFileSync(acls, acl);
  if (users !== undefined) writeFileSync(passwords, '');
  for (const [user, password] of Object.entries(users ?? {}))
    execFileSync(programPath('mosquitto_passwd') ?? 'mosquitto_passwd', ['-b', passwords, user, password], {
      stdio: 'ignore',
    });
  return [
    'log_dest stderr',
    'persistence false',
    'max_queued_messages 0',
    // As root mosquitto would become a user that can't read this folder.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    ...(users === undefined ? ['allow_anonymous true'] : ['allow_anonymous false', `password_file ${passwords}`]),
    ...(acl === undefined ? [] : [`acl_file ${acls}`]),
    `listener ${port} 127.0.0.1`,
    ...lines,
    '',
  ].join('\n');
}
