import type * as z from 'zod';
import type { NotifyMessage } from '../../domain/notify/notify-message.ts';
import type { Deps } from '../../platform/deps.ts';

/** Sends messages to people through one service. */
export interface NotifyTransport extends AsyncDisposable {
  /**
   * Resolves when the service has accepted the message.
   *
   * @throws {OperatingError} disposition 'retry' keeps the message, 'reject' drops it. `retryAfterMs` on the error is obeyed
   *   if present.
   */
  send(message: NotifyMessage, signal: AbortSignal): Promise<void>;
}

/** Code of a kind of channel. */
export type NotifyFactory<Config> = { transport(config: Config, deps: Deps): NotifyTransport };

/** A kind of channel: one line in config/kinds.ts enrols it. */
export type NotifyKind<Config extends { readonly type: string }> = {
  readonly type: Config['type'];
  readonly schema: z.ZodType<Config>;
  /** Loads the code of the channel. `andon check` reads configurations without it. */
  load(): Promise<NotifyFactory<Config>>;
};
