import type { Deps } from '../../../platform/deps.ts';
import { EndpointLink, type EndpointLinkOptions } from './endpoint-link.ts';
import type { LinkUser, ModbusLink, PreparedRead, ReadListener } from './modbus-link.ts';
import { LateResponses } from './late-responses.ts';
import { endpointName } from '../frame/modbus-url.ts';
import type { ReadRequest } from '../frame/read-pdu.ts';

/**
 * One link for each endpoint, shared by all its sources: many devices allow a single connection, and a serial line
 * carries one request at a time. The first user defines the link's settings (different settings are a configuration
 * error); the last user to leave closes it.
 */
export class LinkPool {
  static readonly #pools = new WeakMap<Deps, LinkPool>();
  readonly #links = new Map<string, EndpointLink>();
  /** Kept longer than the links: a late response may arrive after a reload. One entry for each endpoint ever used. */
  readonly #late = new Map<string, LateResponses>();
  readonly #deps: Deps;

  private constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Returns the pool of one agent, identified by its deps. */
  static of(deps: Deps): LinkPool {
    const known = LinkPool.#pools.get(deps);
    if (known !== undefined) return known;
    const pool = new LinkPool(deps);
    LinkPool.#pools.set(deps, pool);
    return pool;
  }

  /** Returns a share in the link to an endpoint. The link opens when the first share starts. */
  share(options: EndpointLinkOptions, user: LinkUser): ModbusLink {
    const name = endpointName(options.endpoint);
    const late = this.#late.get(name) ?? new LateResponses(this.#deps.clock);
    this.#late.set(name, late);
    const link = this.#links.get(name) ?? new EndpointLink(options, this.#deps, late);
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

/** One user's share in a link. */
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

  submit(reads: readonly PreparedRead[]): void {
    this.#link.submit(reads);
  }

  scanEnded(): void {
    this.#link.scanEnded();
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
