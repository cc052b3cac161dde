import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { AppliedConfiguration, ConfigurationEditor, ConfigurationProblem } from './configuration-editor.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { actorWithAddress } from '../web/access/caller.ts';
import type { OperatorAudit } from '../web/access/operator-audit.ts';
import { mayDo } from '../web/access/roles.ts';
import { errorJson } from '../web/http-errors.ts';
import { appliedJson, configurationJson, configurationProblemJson, tagTableJson } from './api-schemas.ts';

export type ConfigurationRoutesOptions = {
  readonly editor: ConfigurationEditor;
  readonly audit: OperatorAudit;
};

/** A text of 4 MB with its escapes. */
const BODY_BYTES_MAX = 12_000_000;

const tags = ['Configuration'];
const permission = 'configure';
const body = z.strictObject({ text: z.string().describe('YAML of the whole file') });
const refusedJson = errorJson.extend({ problems: z.array(configurationProblemJson).optional() });

/** `/api/v1/configuration`: read, check and replace the configuration file. */
export function registerConfiguration(instance: FastifyInstance, options: ConfigurationRoutesOptions): void {
  const { editor } = options;
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/api/v1/configuration',
    {
      schema: {
        summary: 'The configuration file, and what became of the last change',
        description: 'A caller who may not change it gets the text in use, without values that may be secrets.',
        tags,
        response: { 200: configurationJson, 503: errorJson },
      },
    },
    async ({ caller }, reply) => {
      const { text, redacted, lastApply, revertAfterMs, readOnly, ...state } = await editor.read();
      const isEditor = caller !== undefined && mayDo(caller.role, permission);
      return reply.header('etag', `"${state.version}"`).send({
        ...snakeJson(state),
        text: isEditor ? text : redacted(),
        read_only: readOnly ?? null,
        revert_after_ms: revertAfterMs ?? null,
        last_apply: lastApply === undefined ? null : appliedToJson(lastApply),
      });
    },
  );
  app.get(
    '/api/v1/configuration/schema',
    { schema: { summary: 'JSON Schema of the file', tags, response: { 200: z.looseObject({}) } } },
    () => ({ ...editor.schema() }),
  );
  app.post(
    '/api/v1/configuration/check',
    {
      config: { permission },
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        summary: 'Check a text as `andon check` does, without a change',
        tags,
        body,
        response: { 200: z.object({ problems: z.array(configurationProblemJson) }), 422: errorJson, 503: errorJson },
      },
    },
    async ({ body: { text } }) => ({ problems: [...(await editor.check(text))] }),
  );
  registerTagTable(instance, options);
  registerApply(instance, options);
}

function registerTagTable(instance: FastifyInstance, { editor }: ConfigurationRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/configuration/tags',
    {
      config: { permission },
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        summary: 'Read a table of tags, without a change',
        description:
          'A table as in a tag file or from a spreadsheet: a header with `name` and keys of a tag, cells between tabs, commas or semicolons. The values are not checked.',
        tags,
        body: z.strictObject({ type: z.string().max(100).describe('Type of the source'), text: z.string() }),
        response: { 200: tagTableJson, 503: errorJson },
      },
    },
    async ({ body: table }) => {
      const { tags: read, problems } = await editor.readTags(table);
      return { tags: [...read], problems: [...problems] };
    },
  );
}

function registerApply(instance: FastifyInstance, { editor, audit }: ConfigurationRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().put(
    '/api/v1/configuration',
    {
      config: { permission },
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        summary: 'Replace the file and reload it',
        description:
          'The answer comes before the reload: `last_apply` of `GET /api/v1/configuration` has its result. A reload that is reverted restores the file.',
        tags,
        headers: z.looseObject({
          'if-match': z.string().optional().describe('ETag of the text that the change started from; required'),
        }),
        body,
        response: {
          202: appliedJson,
          401: errorJson,
          403: refusedJson,
          412: errorJson,
          422: refusedJson,
          428: errorJson,
          503: errorJson,
        },
      },
    },
    async ({ body: { text }, headers, caller }, reply) => {
      const version = /^"?([0-9a-f]{64})"?$/.exec(headers['if-match'] ?? '')?.[1];
      if (version === undefined)
        return reply.code(428).send({ error: 'If-Match needs the ETag of GET /api/v1/configuration' });
      const { file } = await editor.read();
      const applied = await editor.apply(text, version, actorWithAddress(caller));
      if (!('problems' in applied)) {
        await audit.record(caller, 'edit-configuration', file, { former: version, version: applied.version });
        return reply.code(202).send(appliedToJson(applied));
      }
      const refused = applied.problems.filter(({ severity }) => severity === 'refused');
      const keys = refused.map(({ path }) => path);
      if (refused.length > 0) await audit.record(caller, 'refuse-configuration', file, { former: version, keys });
      return reply
        .code(refused.length > 0 ? 403 : 422)
        .send({ error: problemsText(applied.problems), problems: [...applied.problems] });
    },
  );
}

function problemsText(problems: readonly ConfigurationProblem[]): string {
  return problems
    .filter(({ severity }) => severity !== 'warning')
    .map(({ line, path, message }) => `line ${line}: ${path === '' ? '' : `${path}: `}${message}`)
    .join('\n');
}

function appliedToJson(applied: AppliedConfiguration): z.infer<typeof appliedJson> {
  return { ...snakeJson(applied), changed: [...applied.changed], restart: [...applied.restart] };
}
