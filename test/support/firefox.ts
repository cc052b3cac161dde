import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { programPath } from './programs.ts';

type Reply = { readonly id?: number; readonly type: string; readonly result?: unknown; readonly message?: string };

/**
 * Debian's Firefox ESR, driven by WebDriver BiDi over its own socket: Playwright drives only a Firefox that it builds itself.
 *
 * @see https://www.w3.org/TR/webdriver-bidi/
 */
export class Firefox implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  /** Errors of scripts, and what the content security policy refused. */
  readonly errors: string[] = [];
  #id = 0;
  #page = '';

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.on('message', (data: Buffer) => this.#take(JSON.parse(data.toString()) as Reply));
  }

  static async start(): Promise<Firefox> {
    const profile = mkdtempSync(join(tmpdir(), 'andon-firefox-'));
    // Firefox does not start in a home of another user.
    const env = { ...process.env, HOME: profile };
    const args = ['--headless', '--remote-debugging-port', '0', '--profile', profile, '--no-remote', 'about:blank'];
    const child = spawn(programPath('firefox-esr') ?? 'firefox-esr', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env,
    });
    const socket = new WebSocket(`${await addressOf(child)}/session`);
    await once(socket, 'open');
    const firefox = new Firefox(child, profile, socket);
    await firefox.#send('session.new', { capabilities: {} });
    await firefox.#send('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = (await firefox.#send('browsingContext.getTree', {})) as { contexts: { context: string }[] };
    firefox.#page = contexts[0]?.context ?? '';
    return firefox;
  }

  async goto(url: string): Promise<void> {
    await this.#send('browsingContext.navigate', { context: this.#page, url, wait: 'complete' });
  }

  /** Returns the text of an expression in the page. */
  async text(expression: string): Promise<string> {
    const target = { context: this.#page };
    const answer = await this.#send('script.evaluate', { expression, target, awaitPromise: true });
    return String((answer as { readonly result?: { readonly value?: unknown } }).result?.value);
  }

  /** Presses a key. WebDriver names keys without a character by a code, as U+E00C for Escape. */
  async press(value: string): Promise<void> {
    const keys = ['keyDown', 'keyUp'].map((type) => ({ type, value }));
    const actions = [{ type: 'key', id: 'keyboard', actions: keys }];
    await this.#send('input.performActions', { context: this.#page, actions });
  }

  /** Returns a picture of the page as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = (await this.#send('browsingContext.captureScreenshot', { context: this.#page })) as {
      data: string;
    };
    return Buffer.from(data, 'base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #send(method: string, params: object): Promise<unknown> {
    this.#id += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#id, waiting);
    this.#socket.send(JSON.stringify({ id: this.#id, method, params }));
    return waiting.promise;
  }

  #take(reply: Reply): void {
    if (reply.type === 'event') {
      const { params } = reply as unknown as { readonly params: { readonly level: string; readonly text: string } };
      if (params.level === 'error') this.errors.push(params.text);
      return;
    }
    const waiting = this.#waiting.get(reply.id ?? 0);
    this.#waiting.delete(reply.id ?? 0);
    if (reply.type === 'success') waiting?.resolve(reply.result);
    else waiting?.reject(new Error(reply.message));
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr ?? process.stdin })) {
    lines.push(line);
    const address = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stderr?.resume();
    return address;
  }
  throw new Error(`Firefox did not start:\n${lines.join('\n')}`);
}
