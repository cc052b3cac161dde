import * as z from 'zod';
import { additionalHeaders, configObject, duration, httpUrl, secretReference } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { notifyFields } from '../notify-fields.ts';

export const templateNames = ['json', 'text', 'slack', 'teams', 'ntfy', 'telegram', 'pagerduty'] as const;

/** Parameters that a template needs. */
const needed: Partial<Record<(typeof templateNames)[number], string>> = {
  telegram: 'chat_id',
  pagerduty: 'routing_key',
};

/** `notify.<id>` of type webhook. */
export const webhookSchema = configObject({
  type: z.literal('webhook'),
  url: z
    .union([httpUrl('host/path'), secretReference], {
      error: 'expected https://host/path, { env: NAME } or { file: PATH }',
    })
    .describe(
      'URL that messages are posted to. One that contains a token is a secret: { env: NAME } or { file: PATH }',
    ),
  template: z.enum(templateNames).default('json').describe('Form of the request, by the service that receives it'),
  body: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Body of the request, in place of template: {{title}}, {{text}}, {{priority}}, {{agent}}, {{link}}, {{kind}} and {{parameters.NAME}} are replaced, encoded for contentType',
    ),
  contentType: z
    .enum(['application/json', 'application/x-www-form-urlencoded', 'text/plain'])
    .default('application/json')
    .describe('Content type of body'),
  headers: additionalHeaders([], 'the channel').describe(
    'Headers of each request. A token is a secret reference; it is read again for each request',
  ),
  parameters: z
    .record(z.string(), z.union([z.string(), secretReference]))
    .default({})
    .describe(
      'Values for the template (telegram: chat_id; pagerduty: routing_key) or for body. Secrets are references',
    ),
  connectTimeout: duration('Longest wait for a connection, TLS included', { minMs: 100, maxMs: 600_000 }).prefault(
    '10s',
  ),
  tls: tlsSchema('the service').prefault({}).describe('Certificates for https'),
  ...notifyFields,
}).superRefine(({ template, parameters, body }, context) => {
  const name = needed[template];
  if (body === undefined && name !== undefined && parameters[name] === undefined)
    context.addIssue({
      code: 'custom',
      path: ['parameters'],
      message: `template ${template} needs the parameter ${name}`,
    });
});

/** Parsed configuration of a webhook. */
export type WebhookConfig = z.infer<typeof webhookSchema>;
