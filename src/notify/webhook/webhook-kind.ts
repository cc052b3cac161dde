import type { NotifyKind } from '../../contracts/outputs/notify-channel.ts';
import { type WebhookConfig, webhookSchema } from './webhook-config.ts';

/** Posts messages to a URL, in the form of the service that receives them. */
export const webhookKind: NotifyKind<WebhookConfig> = {
  type: 'webhook',
  schema: webhookSchema,
  load: async () => {
    const { WebhookTransport } = await import('./webhook-transport.ts');
    return { transport: (config, deps) => new WebhookTransport(config, deps) };
  },
};
