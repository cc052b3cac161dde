import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { AgentConfig } from '../config/config-schema.ts';

/** A component of the agent that a changed configuration replaces. */
export type Part = { start(): void | Promise<void> } & (AsyncDisposable | Disposable);

export type PartsOptions<C, P extends Part> = {
  /** Section whose entries the parts are; undefined if their ids are sections. */
  readonly section?: string;
  /** Returns the settings of each part by id; undefined for one that does not exist in this configuration. */
  readonly wanted: (config: AgentConfig) => Readonly<Record<string, C | undefined>>;
  readonly create: (settings: C, id: string) => P;
};

type RunningPart<C, P> = { readonly settings: C; readonly secrets: unknown; readonly part: P; isStarted: boolean };

/**
 * Parts of one kind, by id. Each keeps running in another configuration, unless its own settings, or a secret that
 * they name, are different.
 */
export class Parts<C, P extends Part> implements AsyncDisposable {
  readonly #options: PartsOptions<C, P>;
  readonly #parts = new Map<string, RunningPart<C, P>>();

  constructor(options: PartsOptions<C, P>) {
    this.#options = options;
  }

  get(id: string): P | undefined {
    return this.#parts.get(id)?.part;
  }

  entries(): readonly (readonly [id: string, part: P])[] {
    return [...this.#parts].map(([id, { part }]) => [id, part]);
  }

  /**
   * Ends the parts that the configuration does not have, or has with other settings.
   *
   * @returns Their keys in the configuration.
   */
  async end(next: AgentConfig): Promise<readonly string[]> {
    const { section, wanted } = this.#options;
    const settings = wanted(next);
    const ending = [...this.#parts].filter(
      ([id, running]) =>
        !isDeepStrictEqual(running.settings, settings[id]) ||
        !isDeepStrictEqual(running.secrets, secretsIn(settings[id])),
    );
    await Promise.all(ending.map(([id]) => this.#end(id)));
    return ending.map(([id]) => (section === undefined ? id : `${section}.${id}`));
  }

  /** Ends one part. The next `create` makes it again. */
  async pause(id: string): Promise<void> {
    await this.#end(id);
  }

  /** Creates the parts of the configuration that do not exist yet. */
  create(config: AgentConfig): void {
    for (const [id, settings] of Object.entries(this.#options.wanted(config))) {
      if (settings === undefined || this.#parts.has(id)) continue;
      const part = this.#options.create(settings, id);
      this.#parts.set(id, { settings, secrets: secretsIn(settings), part, isStarted: false });
    }
  }

  /** Starts the parts that were created. */
  async start(): Promise<void> {
    for (const running of this.#parts.values()) {
      if (running.isStarted) continue;
      running.isStarted = true;
      await running.part.start();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#parts.keys()].map((id) => this.#end(id)));
  }

  async #end(id: string): Promise<void> {
    const part: Part | undefined = this.#parts.get(id)?.part;
    this.#parts.delete(id);
    if (part === undefined) return;
    if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
    else part[Symbol.dispose]();
  }
}

/**
 * Returns the content of the secrets (`{ file: PATH }`) that settings name; undefined for a file that cannot be read.
 * Certificates need no restart: they are read again for each connection.
 */
function secretsIn(settings: unknown): readonly (string | undefined)[] {
  if (typeof settings !== 'object' || settings === null) return [];
  const entries = Object.entries(settings);
  return entries.flatMap(([key, value]) => {
    const isSecret = key === 'file' && entries.length === 1 && typeof value === 'string';
    return isSecret ? [contentOf(value)] : secretsIn(value);
  });
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
