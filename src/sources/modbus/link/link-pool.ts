import type { Deps } from '../../../platform/deps.ts';
import type { EndpointLinkOptions } from './endpoint-link.ts';
import { EndpointLink } from './endpoint-link.ts';
import type { LinkUser, ModbusLink, PreparedRead, ReadListener } from './modbus-link.ts';
import { OwedAnswers } from './owed-answers.ts';
import { endpointName } from '../frame/modbus-url.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';

/**
 * One link for each endpoint, however many sources name it: many devices allow a single connection, and a serial line has
 * room for one request. The first to come brings the link's settings (others that differ are an error of the configuration);
 * the last to leave ends it.
 */
export class LinkPool {
  static readonly #pools = new WeakMap<Deps, LinkPool>();
  readonly #links = new Map<string, EndpointLink>();
  /** Outlives the links: what a unit owes may come after the configuration was read anew. One for each endpoint ever named. */
  readonly #owed = new Map<string, OwedAnswers>();
  readonly #deps: Deps;

  private constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** The pool of everything that has the same deps: one agent. */
  static of(deps: Deps): LinkPool {
    const known = LinkPool.#pools.get(deps);
    if (known !== undefined) return known;
    const pool = new LinkPool(deps);
    LinkPool.#pools.set(deps, pool);
    return pool;
  }

  /** A share in the link to an endpoint; nothing happens there before a share is started. */
  share(options: EndpointLinkOptions, user: LinkUser): ModbusLink {
    const name = endpointName(options.endpoint);
    const owed = this.#owed.get(name) ?? new OwedAnswers(this.#deps.clock);
    this.#owed.set(name, owed);
    const link = this.#links.get(name) ?? new EndpointLink(options, this.#deps, owed);
    this.#links.set(name, link);
    link.join(user);
    return new LinkShare(link, user, () => this.#release(name, link));
  }

  #release(name: string, link: EndpointLink): void {
    if (link.users > 0) return;
    link.dispose();
    if (this.#links.get(name) === link) this.#links.delete(name);
  }
}

/** One user’s part in a link. */
export class LinkShare implements ModbusLink {
  readonly #link: EndpointLink;
  readonly #user: LinkUser;
  readonly #left: () => void;
  #disposed = false;

  constructor(link: EndpointLink, user: LinkUser, left: () => void) {
    this.#link = link;
    this.#user = user;
    this.#left = left;
  }

  start(): void {
    if (!this.#disposed) this.#link.start();
  }

  prepare(request: ReadRequest, timeoutMs: number, listener: ReadListener): PreparedRead {
    return this.#link.prepare(request, timeoutMs, listener, this.#user);
  }

  submit(read: PreparedRead): void {
    this.#link.submit(read);
  }

  problem(): string | undefined {
    return this.#link.problem();
  }

  lastTickMs(): number {
    return this.#link.lastTickMs();
  }

  neighbourDelayMs(timeoutMs: number): number {
    return this.#link.users > 1 ? timeoutMs + this.#link.recoveryMsMax : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#link.leave(this.#user);
    this.#left();
  }
}
