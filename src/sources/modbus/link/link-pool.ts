import type { Deps } from '../../../platform/deps.ts';
import { EndpointLink, type EndpointLinkOptions } from './endpoint-link.ts';
import type { LinkUser, ModbusLink } from './modbus-link.ts';
import { LateResponses } from './late-responses.ts';
import { endpointName } from '../../../protocols/modbus/modbus-url.ts';

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
    return linkShare(link, user, () => this.#release(name, link));
  }

  #release(name: string, link: EndpointLink): void {
    if (link.users > 0) return;
    link.dispose();
    if (this.#links.get(name) === link) this.#links.delete(name);
  }
}

/** Returns one user's share in a link. @param left Called once when the user has left. */
export function linkShare(link: EndpointLink, user: LinkUser, left: () => void): ModbusLink {
  let isDisposed = false;
  return {
    start: () => {
      if (!isDisposed) link.start();
    },
    prepare: (request, timeoutMs, listener) => link.prepare(request, timeoutMs, listener, user),
    submit: (reads) => link.submit(reads),
    scanEnded: () => link.scanEnded(),
    problem: () => link.problem(),
    lastTickMs: () => link.lastTickMs(),
    neighbourDelayMs: (timeoutMs) => (link.users > 1 ? timeoutMs + link.recoveryMsMax : 0),
    [Symbol.asyncDispose]: async () => {
      if (isDisposed) return;
      isDisposed = true;
      link.leave(user);
      left();
    },
  };
}
