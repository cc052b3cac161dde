import * as z from 'zod';
import { configObject, duration, secretReference } from '../../platform/config-fields.ts';
import { tlsSchema } from '../../platform/tls-files.ts';
import { notifyFields } from '../notify-fields.ts';

const address = z.string().regex(/^[^\s<>]+@[^\s<>]+$/, { error: 'expected an address such as shift@acme.example' });

/** `notify.<id>` of type email. */
export const emailSchema = configObject({
  type: z.literal('email'),
  url: z
    .string()
    .superRefine((text, context) => {
      const url = URL.parse(text);
      const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
      if (url === null || !['smtp:', 'smtps:'].includes(url.protocol) || url.hostname === '')
        return issue('expected smtp://host:587 or smtps://host:465');
      if (url.username !== '' || url.password !== '')
        issue('user and password must not be in the url: use username and password');
    })
    .describe('Mail server: smtps://host:465 (TLS from the start) or smtp://host:587 (STARTTLS)'),
  startTls: z
    .enum(['required', 'if-offered', 'never'])
    .default('required')
    .describe('smtp:// only. required: without STARTTLS nothing is sent'),
  username: z.string().min(1).optional().describe('User name for the mail server'),
  password: secretReference.optional().describe('Password for the mail server: { env: NAME } or { file: PATH }'),
  from: address.describe('Sender'),
  to: z.array(address).min(1).max(50).describe('Recipients'),
  connectTimeout: duration('Longest wait for a connection, TLS included', { minMs: 100, maxMs: 600_000 }).prefault(
    '10s',
  ),
  tls: tlsSchema('the mail server').prefault({}).describe('Certificates for TLS'),
  ...notifyFields,
}).superRefine(({ username, password, startTls, url }, context) => {
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if ((username === undefined) !== (password === undefined))
    issue('password', 'username and password must be set together');
  if (password !== undefined && startTls !== 'required' && url.startsWith('smtp:'))
    issue('startTls', 'a password needs startTls: required, so that it is not sent in clear text');
});

/** Parsed configuration of an email channel. */
export type EmailConfig = z.infer<typeof emailSchema>;
