import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { fleetTokenPath } from '../../fleet/service/fleet-token.ts';
import { type DesiredModel, desiredStateSchema, reportedStateSchema } from '../../fleet/fleet-states.ts';
import { loadFleetService } from '../../fleet/service/load-fleet-service.ts';
import { sha256 } from '../../platform/sha256.ts';
import { archiveIdentity } from './archive-identity.ts';
import { agentOf, type AgentRequest, queryAgent, type RunningAgentAddress } from '../output/agent-request.ts';
import { type Output, printResult } from '../output/output.ts';
import { table } from '../output/table.ts';

type FleetOptions = { readonly config: string; readonly json?: boolean };

const boxJson = z.object({
  box: z.string(),
  labels: z.record(z.string(), z.string()),
  enrolled_ms: z.number().nullable(),
  desired: desiredStateSchema.nullable(),
  reported: reportedStateSchema.nullable(),
});
type BoxJson = z.infer<typeof boxJson>;

const BOXES = '/api/v1/fleet/boxes';
/** An upload of 200 MB. */
const UPLOAD_MS_MAX = 3_600_000;

/** `andon fleet boxes`. */
export async function boxesCommand(
  options: FleetOptions & { readonly labels?: string },
  output: Output,
): Promise<number> {
  const query = options.labels === undefined ? '' : `?labels=${encodeURIComponent(options.labels)}`;
  const document = await ask(options, `${BOXES}${query}`, z.object({ boxes: z.array(boxJson) }));
  const rows = document.boxes.map((box) => [
    box.box,
    stateOf(box),
    box.reported?.health.status ?? '',
    box.reported?.agent_version ?? '',
    box.reported === null ? 'never' : new Date(box.reported.time_ms).toISOString(),
    Object.entries(box.labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
  ]);
  const text =
    rows.length === 0
      ? 'No boxes. Enrol the first one: andon fleet enrol BOX'
      : table(['box', 'state', 'health', 'version', 'reported (UTC)', 'labels'], rows);
  printResult(output, options, { document, text });
  return 0;
}

/** `andon fleet show BOX`. */
export async function showCommand(box: string, options: FleetOptions, output: Output): Promise<number> {
  const document = await ask(options, boxPath(box), boxJson);
  const { reported, desired } = document;
  const lines = [
    `${box}: ${stateOf(document)}${reported?.reason === undefined || reported.reason === '' ? '' : `. ${reported.reason}`}`,
    ...(desired?.models ?? []).map(({ name, version }) => `  model ${name}@${version}`),
    ...(desired?.configuration === undefined ? [] : [`  configuration ${desired.configuration.sha256}`]),
    ...(reported?.health.components ?? []).map(({ name, status, reason }) => `  ${name} ${status}: ${reason}`),
  ];
  printResult(output, options, { document, text: lines.join('\n') });
  return 0;
}

/** `andon fleet enrol BOX`. */
export async function enrolCommand(
  box: string,
  options: FleetOptions & { readonly validHours: number },
  output: Output,
): Promise<number> {
  const schema = z.object({ box: z.string(), token: z.string(), expires_ms: z.number() });
  const body = { box, valid_hours: options.validHours };
  const document = await ask(options, '/api/v1/fleet/enrolments', schema, { method: 'POST', body });
  const text = [
    `Token for ${box}, valid once until ${new Date(document.expires_ms).toISOString()}:`,
    document.token,
    'On the box: andon agent enrol --url URL-OF-THE-FLEET-SERVICE --token TOKEN',
  ].join('\n');
  printResult(output, options, { document, text });
  return 0;
}

/** `andon fleet revoke BOX`. */
export async function revokeCommand(box: string, options: FleetOptions, output: Output): Promise<number> {
  const document = await ask(options, `${boxPath(box)}/credentials`, boxJson, { method: 'DELETE' });
  printResult(output, options, {
    document,
    text: `${box} has no valid credentials any more. Its connection is closed.`,
  });
  return 0;
}

/** `andon fleet labels BOX name=value …`. */
export async function labelsCommand(
  box: string,
  pairs: readonly string[],
  options: FleetOptions,
  output: Output,
): Promise<number> {
  const body = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const document = await ask(options, `${boxPath(box)}/labels`, boxJson, { method: 'PUT', body });
  printResult(output, options, { document, text: `${box}: ${pairs.join(' ')}` });
  return 0;
}

type DesiredOptions = FleetOptions & {
  readonly model: readonly string[];
  readonly configuration?: string;
  readonly set: Readonly<Record<string, string>>;
  readonly keep?: boolean;
};

/** `andon fleet desired BOX …`. */
export async function desiredCommand(
  boxes: readonly string[],
  options: DesiredOptions,
  output: Output,
): Promise<number> {
  const models: DesiredModel[] = [];
  for (const file of options.model) {
    const { name, version } = await archiveIdentity(file);
    models.push({ name, version, sha256: await upload(options, file) });
  }
  const configuration =
    options.configuration === undefined
      ? undefined
      : { sha256: await upload(options, options.configuration), variables: options.set };
  const results = [];
  for (const box of boxes) {
    const before = options.keep === true ? (await ask(options, boxPath(box), boxJson)).desired : null;
    const kept = (before?.models ?? []).filter(({ name }) => models.every((model) => model.name !== name));
    const body = { models: [...kept, ...models], configuration: configuration ?? before?.configuration };
    const schema = z.object({ box: z.string(), generation: z.number() });
    results.push(await ask(options, `${boxPath(box)}/desired`, schema, { method: 'PUT', body }));
  }
  const text = results.map(({ box, generation }) => `${box}: generation ${generation}`).join('\n');
  printResult(output, options, { document: { boxes: results }, text: `${text}\nFollow it: andon fleet boxes` });
  return 0;
}

function stateOf({ enrolled_ms: enrolledMs, desired, reported }: BoxJson): string {
  if (enrolledMs === null) return 'not enrolled';
  if (reported === null) return 'never connected';
  if (desired !== null && desired.generation !== reported.generation)
    return `waits for generation ${desired.generation}`;
  return `${reported.state} (generation ${reported.generation})`;
}

function boxPath(box: string): string {
  return `${BOXES}/${encodeURIComponent(box)}`;
}

async function upload(options: FleetOptions, file: string): Promise<string> {
  const bytes = await readFile(file);
  const schema = z.object({ sha256: z.literal(sha256(bytes)) });
  const request = { method: 'PUT', bytes, timeoutMs: UPLOAD_MS_MAX } as const;
  return (await ask(options, '/api/v1/fleet/files', schema, request)).sha256;
}

async function ask<Answer>(
  options: FleetOptions,
  path: string,
  schema: z.ZodType<Answer>,
  request?: AgentRequest,
): Promise<Answer> {
  return queryAgent(await addressOf(options), path, schema, request);
}

async function addressOf({ config: file }: FleetOptions): Promise<RunningAgentAddress> {
  const { http, data } = await loadFleetService(file);
  return agentOf({ http, outbox: { path: fleetTokenPath(data) } });
}
