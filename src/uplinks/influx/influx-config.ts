import * as z from 'zod';
import { configObject, httpUrl, secretReference } from '../../platform/config-fields.ts';
import { httpClientFields } from '../http/http-config.ts';
import { uplinkFields } from '../uplink-fields.ts';

const { values: _notOfLines, ...fields } = uplinkFields({ recordsMax: 500, bytesMax: '256kB', linger: '1s' });

/** Labels that the lines have already. */
const ownLabels = ['agent', 'watch', 'tag', 'alarm', 'kind', 'output', 'time'];

export const influxUplinkSchema = configObject({
  type: z.literal('influx'),
  url: httpUrl('host/write?db=NAME')
    .refine((text) => URL.parse(text)?.searchParams.has('precision') !== true, {
      error: 'precision must not be in the url: times are always in nanoseconds, the default of every receiver',
    })
    .describe(
      'URL for line protocol, with its database. InfluxDB 1 and VictoriaMetrics: https://host/write?db=NAME. InfluxDB 2 and 3: https://host/api/v2/write?org=NAME&bucket=NAME',
    ),
  token: secretReference.optional().describe('API token of InfluxDB 2 or 3. It is read again for each request'),
  username: z.string().min(1).optional().describe('User name, for InfluxDB 1 or a proxy'),
  password: secretReference.optional().describe('Password of the user'),
  prefix: z
    .string()
    .regex(/^[\w.-]*$/, { error: "expected letters, digits, '_', '.' and '-'" })
    .default('')
    .describe(
      'Begin of the name of each measurement, for a database that other programs use too: with line2_ a verdict is line2_verdict',
    ),
  labels: z
    .record(
      z.string().regex(/^[A-Za-z]\w*$/, { error: "expected a name of letters, digits and '_'" }),
      z.string().min(1),
    )
    .refine((labels) => !Object.keys(labels).some((name) => ownLabels.includes(name)), {
      error: `the labels ${ownLabels.join(', ')} are set by andon`,
    })
    .default({})
    .describe('Labels (tags of InfluxDB) of every point, such as { site: lyon }'),
  texts: z
    .boolean()
    .default(true)
    .describe('false: fields with text are not sent. VictoriaMetrics stores numbers only and would store 0 for a text'),
  ...httpClientFields,
  keepStatuses: z
    .array(z.int().min(400).max(499))
    .default([401, 403, 404, 407])
    .describe(
      '4xx statuses after which the batch is kept and retried, because they concern the agent or the database and not the records. 408 and 429 are always retried',
    ),
  ...fields,
}).superRefine((config, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message, input: undefined });
  if (config.token !== undefined && config.username !== undefined)
    issue('token', 'either a token or a username with a password');
  if ((config.username === undefined) !== (config.password === undefined))
    issue('username', 'username and password require each other');
});

/** Parsed configuration of an uplink that writes line protocol. */
export type InfluxUplinkConfig = z.infer<typeof influxUplinkSchema>;
