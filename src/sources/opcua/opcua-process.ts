import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { NodeListing } from '../../contracts/source.ts';
import { childEnvironment } from '../../platform/child-environment.ts';
import type { Deps } from '../../platform/deps.ts';
import { opcuaHostEntry } from '../../platform/entries.ts';
import { errorMessage } from '../../platform/errors.ts';
import { childFlags, YOUNG_MB } from '../../platform/heap-flags.ts';
import { opcuaFailure } from './opcua-errors.ts';
import type { OpcuaCommand, OpcuaEvent, OpcuaJob } from './opcua-protocol.ts';

/** Time to close the sessions when the last source leaves; then the process is killed. */
const CLOSE_MS = 3_000;

/** Browse requests of one connection: the reads of a person must not occupy a server. */
const BROWSES_MAX = 4;

/** What a connection reports to its source. */
export type ConnectionEvent = Exclude<OpcuaEvent, BrowseEvent>;
type Listener = (event: ConnectionEvent) => void;
type BrowseEvent = Extract<OpcuaEvent, { readonly request: number }>;
type Browse = { readonly connection: number } & Pick<PromiseWithResolvers<NodeListing>, 'resolve' | 'reject'>;

/** A connection to a server, in the process with the library. */
export type OpcuaConnection = {
  /** Ends the connection. 'ended' follows, unless the process hangs. */
  close(): void;
  /** @throws {OperatingError} See `Source.browseNodes`. */
  browse(node: string | undefined): Promise<NodeListing>;
};

/**
 * The child process with the OPC UA library, which all OPC UA sources of an agent share. It starts with the first connection
 * and ends when the last source leaves.
 *
 * The library takes 100 MB and blocks its thread for more than a second while it loads ([ADR 29](docs/adr/0029-opc-ua.md)).
 */
export class OpcuaProcess {
  static readonly #processes = new WeakMap<Deps, OpcuaProcess>();
  readonly #deps: Deps;
  readonly #listeners = new Map<number, Listener>();
  readonly #browses = new Map<number, Browse>();
  #users = 0;
  #child: ChildProcess | undefined;
  #nextConnection = 1;
  #nextBrowse = 1;

  private constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Returns the process of one agent, identified by its deps. */
  static of(deps: Deps): OpcuaProcess {
    const known = OpcuaProcess.#processes.get(deps);
    if (known !== undefined) return known;
    const process = new OpcuaProcess(deps);
    OpcuaProcess.#processes.set(deps, process);
    return process;
  }

  /** A source uses the process until it leaves. */
  join(): void {
    this.#users += 1;
  }

  /** Resolves when the process has ended, if the source was the last one. */
  async leave(): Promise<void> {
    this.#users -= 1;
    const child = this.#child;
    if (this.#users > 0 || child === undefined) return;
    this.#child = undefined;
    const ended = once(child, 'exit');
    // Closes the sessions. Without a channel and connections, nothing keeps the process alive.
    if (child.connected) child.disconnect();
    const deadline = this.#deps.clock.setTimer(() => child.kill('SIGKILL'), CLOSE_MS);
    if (child.exitCode === null && child.signalCode === null) await ended;
    deadline.cancel();
  }

  /** Opens a connection. Its events end with 'ended'. */
  open(job: OpcuaJob, listener: Listener): OpcuaConnection {
    const connection = this.#nextConnection++;
    this.#listeners.set(connection, listener);
    this.#child ??= this.#start();
    this.#send({ type: 'open', connection, job });
    return {
      close: () => this.#send({ type: 'close', connection }),
      browse: (node) => this.#browse(connection, node),
    };
  }

  /** Kills a process that does not react. All its connections end. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** The process answers each request, or the connection ends. */
  #browse(connection: number, node: string | undefined): Promise<NodeListing> {
    const waiting = [...this.#browses.values()].filter((browse) => browse.connection === connection);
    if (waiting.length >= BROWSES_MAX)
      throw opcuaFailure('opcua-browser-busy', 'Other pages list nodes of this source; try again later');
    const { promise, resolve, reject } = Promise.withResolvers<NodeListing>();
    const request = this.#nextBrowse++;
    this.#browses.set(request, { connection, resolve, reject });
    this.#send({ type: 'browse', connection, request, node });
    return promise;
  }

  #answer(event: BrowseEvent): void {
    const browse = this.#browses.get(event.request);
    this.#browses.delete(event.request);
    if (event.type === 'browsed') browse?.resolve(event.listing);
    else browse?.reject(opcuaFailure('opcua-browse-failed', event.reason));
  }

  #failBrowses(connection: number, reason: string): void {
    for (const [request, browse] of this.#browses)
      if (browse.connection === connection)
        this.#answer({ connection, type: 'browse-failed', request, reason: `The connection has ended: ${reason}` });
  }

  #take(event: OpcuaEvent): void {
    if ('request' in event) return this.#answer(event);
    const listener = this.#listeners.get(event.connection);
    if (event.type === 'ended') {
      this.#listeners.delete(event.connection);
      this.#failBrowses(event.connection, event.reason);
    }
    listener?.(event);
  }

  #send(command: OpcuaCommand): void {
    // If the channel is closed, 'exit' follows.
    if (this.#child?.connected === true) this.#child.send(command, () => undefined);
  }

  #start(): ChildProcess {
    const child = fork(opcuaHostEntry, {
      serialization: 'advanced',
      // The library writes warnings to standard output.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: childEnvironment(),
      execArgv: [...childFlags(YOUNG_MB)],
    });
    // The child is andon's own code.
    child.on('message', (message) => this.#take(message as OpcuaEvent));
    child.on('error', (error) => this.#ended(child, `could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, signal) =>
      this.#ended(child, signal === null ? `ended with code ${code}` : `was ended by ${signal}`),
    );
    return child;
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child === child) this.#child = undefined;
    else if (this.#child !== undefined) return;
    const ending = [...this.#listeners.keys()];
    for (const connection of ending) this.#take({ connection, type: 'ended', reason: `The OPC UA process ${how}` });
  }
}
