import type { NotifyKind } from '../../contracts/outputs/notify-channel.ts';
import { type EmailConfig, emailSchema } from './email-config.ts';

/** Sends messages as emails. */
export const emailKind: NotifyKind<EmailConfig> = {
  type: 'email',
  schema: emailSchema,
  load: async () => {
    const { EmailTransport } = await import('./email-transport.ts');
    return { transport: (config) => new EmailTransport(config) };
  },
};
