import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import type {
  AppliedConfiguration,
  ConfigurationEditor,
  ConfigurationProblem,
  ConfigurationState,
} from '../http/configuration-editor.ts';
import type { LoadedConfig } from '../config/config-file.ts';
import { configJsonSchema } from '../config/config-json-schema.ts';
import { readConfigText } from '../config/files/config-text.ts';
import type { Deps } from '../platform/deps.ts';
import { replaceDurably } from '../platform/durable-file.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import { sha256 } from '../platform/sha256.ts';
import type { ConfigCheckThread } from './config-check-thread.ts';
import { configurationFailure } from './configuration-errors.ts';
import { redactedText } from './redacted-text.ts';

/** Largest text, in bytes of UTF-8, as in `readConfigText`. */
const TEXT_BYTES_MAX = 4_000_000;

/** Result of a reload. */
type ReloadReport = {
  readonly outcome: 'applied' | 'reverted' | 'superseded' | 'refused';
  readonly changed?: readonly string[];
  readonly restart?: readonly string[];
  readonly reason: string | undefined;
};

export type ConfigurationFileOptions = {
  readonly loaded: LoadedConfig;
  readonly checks: ConfigCheckThread;
  /** Reads the file again and applies it. Undefined if it is never read again. */
  readonly reload: (() => Promise<ReloadReport>) | undefined;
  readonly deps: Deps;
};

/** The configuration file of the running agent, for changes over HTTP. One change writes at a time. */
export class ConfigurationFile implements ConfigurationEditor {
  readonly #options: ConfigurationFileOptions;
  #inUse: LoadedConfig;
  #redacted: string | undefined;
  #generation = 1;
  #lastApply: AppliedConfiguration | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: ConfigurationFileOptions) {
    this.#options = options;
    this.#inUse = options.loaded;
  }

  /** Takes the configuration that is in use after a reload. */
  reloaded(inUse: LoadedConfig): void {
    if (inUse === this.#inUse) return;
    this.#inUse = inUse;
    this.#redacted = undefined;
    this.#generation += 1;
  }

  schema(): object {
    return configJsonSchema();
  }

  async read(): Promise<ConfigurationState> {
    const text = await this.#text();
    const { revertAfterMs } = this.#inUse.config.reload;
    return {
      file: this.#file,
      text,
      version: versionOf(text),
      generation: this.#generation,
      isInUse: text === this.#inUse.text,
      redacted: () => (this.#redacted ??= redactedText(this.#inUse.text)),
      readOnly: await this.#readOnly(),
      revertAfterMs: revertAfterMs === 'never' ? undefined : revertAfterMs,
      lastApply: this.#lastApply,
    };
  }

  async check(text: string): Promise<readonly ConfigurationProblem[]> {
    refuseLarge(text);
    return this.#options.checks.check({ text, file: this.#file, former: await this.#text() });
  }

  readTags: ConfigurationEditor['readTags'] = (table) => this.#options.checks.readTags(table);

  apply: ConfigurationEditor['apply'] = (text, version, actor) => {
    const applied = this.#writing.then(() => this.#apply(text, version, actor));
    this.#writing = applied.catch(() => undefined);
    return applied;
  };

  async #apply(text: string, version: string, by: string): ReturnType<ConfigurationEditor['apply']> {
    refuseLarge(text);
    const { reload } = this.#options;
    const readOnly = await this.#readOnly();
    if (readOnly !== undefined || reload === undefined)
      throw configurationFailure('configuration-read-only', `The configuration cannot be changed here: ${readOnly}`);
    await this.#refuseChanged(version);
    const problems = await this.check(text);
    if (problems.some(({ severity }) => severity !== 'warning')) return { problems };
    // The check takes a while; a local edit in the meantime must not be lost.
    const former = await this.#refuseChanged(version);
    await this.#write(text, { suffix: '.bak', text: former });
    const { clock, log } = this.#options.deps;
    const started: AppliedConfiguration = {
      state: 'applying',
      version: versionOf(text),
      by,
      timestampMs: clock.nowMs(),
      changed: [],
      restart: [],
      reason: '',
    };
    this.#lastApply = started;
    log.info({ file: this.#file, by }, 'The configuration file was changed.');
    void this.#follow(started, text, reload);
    return started;
  }

  /** Waits for the result of the reload. The file of a reverted change gets the text in use again. */
  async #follow(
    started: AppliedConfiguration,
    text: string,
    reload: NonNullable<ConfigurationFileOptions['reload']>,
  ): Promise<void> {
    const { outcome, changed = [], restart = [], reason = '' } = await reload();
    const isNewest = this.#lastApply === started;
    if (isNewest) this.#lastApply = { ...started, state: outcome, changed, restart, reason };
    if (outcome !== 'reverted' || !isNewest) return;
    try {
      if ((await this.#text()) !== text) return;
      await this.#write(this.#inUse.text, { suffix: '.rejected', text });
      // Changes nothing, and ends the report that the file is not in use.
      await reload();
    } catch (error) {
      const { log } = this.#options.deps;
      log.error({ file: this.#file }, `The file still has the text that was reverted: ${errorMessage(error)}`);
    }
  }

  get #file(): string {
    return this.#options.loaded.file;
  }

  async #text(): Promise<string> {
    const read = await readConfigText(this.#file);
    if ('text' in read) return read.text;
    throw configurationFailure('configuration-unreadable', `${this.#file}: ${read.problem}`);
  }

  /** @returns The text of the file, which has this version. */
  async #refuseChanged(version: string): Promise<string> {
    const text = await this.#text();
    if (versionOf(text) === version) return text;
    throw configurationFailure(
      'configuration-changed',
      `${this.#file} was changed since this text was read. Read it again and repeat the change`,
    );
  }

  async #readOnly(): Promise<string | undefined> {
    const { reload } = this.#options;
    if (reload === undefined) return 'this agent does not read its file again';
    if (this.#inUse.config.http.configuration === 'read-only') return 'http.configuration is read-only';
    try {
      const path = await realpath(this.#file);
      await access(path, constants.W_OK);
      // The file is replaced as a whole, so that no reader sees half of it.
      await access(dirname(path), constants.W_OK);
      return undefined;
    } catch (error) {
      return `the agent may not write ${this.#file} and its folder (${errorCode(error)})`;
    }
  }

  /** @param former Text that the file has now, and the suffix of the file that keeps it. */
  async #write(text: string, former: { readonly suffix: string; readonly text: string }): Promise<void> {
    try {
      const path = await realpath(this.#file);
      await replaceDurably(path + former.suffix, former.text, path);
      await replaceDurably(path, text, path);
    } catch (error) {
      throw configurationFailure('configuration-not-written', `${this.#file}: ${errorMessage(error)}`);
    }
  }
}

function versionOf(text: string): string {
  return sha256(Buffer.from(text));
}

function refuseLarge(text: string): void {
  if (Buffer.byteLength(text) > TEXT_BYTES_MAX)
    throw configurationFailure('configuration-invalid', `A configuration has at most ${TEXT_BYTES_MAX / 1e6} MB`);
}
