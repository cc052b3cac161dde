import * as z from 'zod';
import { configObject, duration, secretReference, wholeNumber } from '../../platform/config-fields.ts';
import { sourceFields, tagFields, tagMap, textFields } from '../tag-fields.ts';
import { parseNodeAddress } from './node-address.ts';
import { parseValuePath } from './value-path.ts';

const securityPolicies = ['None', 'Basic256Sha256', 'Aes256_Sha256_RsaPss'] as const;

const tagSchema = configObject({
  node: z
    .string()
    .refine((text) => parseNodeAddress(text) !== undefined, {
      error: 'expected the address of a node such as nsu=urn:acme:line;s=Line.Temp, ns=2;s=Line.Temp or i=2258',
    })
    .describe(
      'Address of the node: nsu=URI;s=NAME, with the URI of its namespace. ns=2;s=NAME is also possible, but a server may number its namespaces differently after a change',
    ),
  path: z
    .string()
    .refine((text) => parseValuePath(text) !== undefined, {
      error: 'expected a path such as [3], [0,2], Motor.Speed or Axes[1].Position',
    })
    .optional()
    .describe(
      'Part of the value: [3] for an element of an array, [0,2] of a matrix, Motor.Speed for a field of a structure, Axes[1].Position. Indexes count from 0',
    ),
  publishingInterval: duration('Publishing interval of this tag. Default: the interval of the source', {
    minMs: 10,
    maxMs: 3_600_000,
  }).optional(),
  samplingInterval: duration('Interval at which the server samples the value. Default: the publishing interval', {
    maxMs: 3_600_000,
  }).optional(),
  queueSize: wholeNumber(
    'Most values that the server keeps between two publications. Default: enough for the sampling interval',
    10_000,
  ).optional(),
  ...textFields,
  ...tagFields,
});

const filePair = (description: string) =>
  z
    .strictObject({
      cert: z.string().min(1).describe('PEM file with the certificate'),
      key: z.string().min(1).describe('PEM file with its private key'),
    })
    .optional()
    .describe(description);

/** Source of type opcua: tags that a server publishes by subscription. */
export const opcuaSourceSchema = configObject({
  type: z.literal('opcua'),
  url: z.string().superRefine(checkUrl).describe('URL of the server: opc.tcp://host:4840 or opc.tcp://host:4840/path'),
  security: z
    .strictObject({
      policy: z
        .enum(securityPolicies)
        .default('Basic256Sha256')
        .describe('Security policy. None neither signs nor encrypts, and checks no certificate'),
      mode: z
        .enum(['sign', 'signAndEncrypt'])
        .default('signAndEncrypt')
        .describe('Whether messages are signed only, or signed and encrypted. Without effect for policy None'),
    })
    .prefault({})
    .describe('Security of the connection. The certificate of the server must be trusted with `andon opcua trust`'),
  username: z.string().min(1).optional().describe('User name for the server. Default: an anonymous login'),
  password: secretReference.optional().describe('Password for the server: { env: NAME } or { file: PATH }'),
  userCertificate: filePair('Certificate of a user, for a login with it instead of a user name'),
  certificate: filePair(
    'Application certificate of andon. It needs its application URI as a subject alternative name. Default: andon makes one; see `andon opcua certificate`',
  ),
  publishingInterval: duration(
    'Interval at which the server publishes changes. Without any message for three of them, or three keep-alive intervals, the connection is replaced',
    { minMs: 10, maxMs: 3_600_000 },
  ).prefault('1s'),
  connectTimeout: duration('Longest wait for each step of the connection, and for each answer of the server', {
    minMs: 100,
    maxMs: 600_000,
  }).prefault('10s'),
  reconnect: configObject({
    first: duration('Longest wait before the first reconnection attempt', { minMs: 10, maxMs: 3_600_000 }).prefault(
      '500ms',
    ),
    max: duration('Longest wait between attempts. Waits double up to it, each with a random part of up to one half', {
      minMs: 10,
      maxMs: 3_600_000,
    }).prefault('30s'),
  })
    .prefault({})
    .describe('Waits between reconnection attempts'),
  time: z
    .enum(['source', 'server', 'received'])
    .default('source')
    .describe(
      'Time of the values. source: when the device produced the value. server: when the server received it. received: when andon received it, for a server whose clock is wrong',
    ),
  futureTolerance: duration(
    "Longest that the time of a value may be ahead of the agent's clock. A time more than 1 s ahead is replaced by the time of arrival; beyond this tolerance the value is also uncertain",
  ).prefault('5s'),
  ...sourceFields,
  tags: tagMap(tagSchema, 1),
}).superRefine(({ username, password, userCertificate, reconnect }, context) => {
  const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (password !== undefined && username === undefined) issue(['password'], 'a password requires a username');
  if (userCertificate !== undefined && username !== undefined)
    issue(['userCertificate'], 'a login has either a username or a userCertificate');
  if (reconnect.firstMs > reconnect.maxMs) issue(['reconnect', 'max'], 'must not be less than first');
});

/** Parsed configuration of an OPC UA source. */
export type OpcuaSourceConfig = z.infer<typeof opcuaSourceSchema>;

function checkUrl(text: string, context: z.RefinementCtx): void {
  const url = URL.parse(text);
  const issue = (message: string) => context.addIssue({ code: 'custom', message, input: text });
  if (url === null || url.protocol !== 'opc.tcp:' || url.hostname === '')
    return issue('expected opc.tcp://host:4840 or opc.tcp://host:4840/path');
  if (url.username !== '' || url.password !== '')
    issue('user and password must not be in the url: use username and password');
}
