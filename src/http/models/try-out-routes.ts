import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { Tensor } from '../../contracts/inference.ts';
import type { ModelTryOuts, TryOutResult } from '../../contracts/models/model-try-out.ts';
import { readable } from '../../contracts/tensor-data.ts';
import { snakeJson } from '../../domain/record/snake-json.ts';
import { errorJson } from '../../web/http-errors.ts';
import { tryOutJson } from './model-schemas.ts';

/** A window of 80 rows of 200 tags. The JSON is read on the main thread. */
const BODY_BYTES_MAX = 262_144;
/** Most values of an output in an answer. */
const VALUES_MAX = 4_096;

const values = z.array(z.union([z.number(), z.string(), z.boolean()]));
const body = z.strictObject({
  version: z.int().min(1).max(999_999_999).optional().describe('Default: the active version'),
  inputs: z
    .record(z.string(), z.union([values, z.strictObject({ dims: z.array(z.int().min(0)).max(16), data: values })]))
    .describe('Row-major values of each graph input; with dims if the graph has several possible shapes'),
});

/** `POST /api/v1/models/<name>/infer`: one run of any installed version. Programs use the model server. */
export function registerTryOut(instance: FastifyInstance, tryOuts: ModelTryOuts): void {
  instance.withTypeProvider<ZodTypeProvider>().post(
    '/api/v1/models/:name/infer',
    {
      bodyLimit: BODY_BYTES_MAX,
      config: { permission: 'infer' },
      // No idle limit: nothing is sent while the process of the version starts.
      onRequest: async ({ raw }) => void raw.socket.setTimeout(0),
      schema: {
        summary: 'Run a version once, also one that is not active',
        description:
          'The version runs in a process of its own that ends afterwards, which takes about a second. Programs use the model server (/v2).',
        tags: ['Model directory'],
        params: z.object({ name: z.string() }),
        body,
        response: { 200: tryOutJson, 400: errorJson, 404: errorJson, 413: errorJson, 422: errorJson, 503: errorJson },
      },
    },
    async ({ params, body: { version, inputs } }) =>
      resultToJson(await tryOuts.run({ name: params.name, version }, inputs)),
  );
}

function resultToJson({ name, version, provider, runMs, inputs, outputs, judgement }: TryOutResult) {
  return {
    model: name,
    version,
    provider,
    run_ms: runMs,
    inputs: snakeJson(inputs),
    outputs: Object.fromEntries(Object.entries(outputs).map(([output, tensor]) => [output, tensorToJson(tensor)])),
    judgement: judgement ?? null,
  };
}

function tensorToJson(tensor: Tensor): z.infer<typeof tryOutJson>['outputs'][string] {
  const data = Array.from<unknown, number | string | null>(readable(tensor).slice(0, VALUES_MAX), jsonValue);
  return { type: tensor.type, dims: [...tensor.dims], data };
}

/** JSON has no NaN and no infinity; 64-bit integers are text. */
function jsonValue(value: unknown): number | string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return String(value);
}
