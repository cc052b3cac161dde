import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ClientInference, RepositoryEntry } from '../../contracts/inference.ts';
import { type ModelReference, parseModelReference } from '../../domain/model/model-reference.ts';
import { type JsonObject, objectOf } from '../../protocols/open-inference/json-fields.ts';
import { parseJson } from '../../protocols/open-inference/json-text.ts';
import { operation } from './operation.ts';
import { v2Failure } from './v2-errors.ts';

type LoadRoute = { readonly Params: { readonly model: string } };

/** The model repository extension: index, load, unload. `NAME@VERSION` instead of the name selects that version. */
export function registerRepositoryRoutes(app: FastifyInstance, inference: ClientInference): void {
  const config = { permission: 'models' } as const;

  app.post('/v2/repository/index', { config, schema: operation('Models on disk') }, async (request, reply) => {
    const onlyReady = bodyOf(request)['ready'] === true;
    const entries = await inference.repository();
    return reply.send(entries.filter(({ state }) => !onlyReady || state === 'ready').map(entryJson));
  });
  app.post<LoadRoute>(
    '/v2/repository/models/:model/load',
    { config, schema: operation('Load a model, or load it again') },
    async (request, reply) => {
      checkLoadParameters(bodyOf(request)['parameters']);
      await inference.load(referenceOf(request.params.model));
      return reply.send({});
    },
  );
  app.post<LoadRoute>(
    '/v2/repository/models/:model/unload',
    { config, schema: operation('Unload a model') },
    async (request, reply) => {
      await inference.unload(referenceOf(request.params.model));
      return reply.send({});
    },
  );
}

/** @throws {OperatingError} 'infer-request-unsupported' if the request contains a model or a configuration: models are loaded from disk. */
export function checkLoadParameters(parameters: unknown): void {
  if (typeof parameters !== 'object' || parameters === null) return;
  const [name] = Object.keys(parameters);
  if (name !== undefined)
    throw v2Failure(
      'infer-request-unsupported',
      `Parameter '${name.slice(0, 40)}' of a load is not supported: a model is loaded as it is in the model directory`,
    );
}

function bodyOf({ body }: FastifyRequest): JsonObject {
  return Buffer.isBuffer(body) && body.length > 0 ? objectOf(parseJson(body), 'The request') : {};
}

/** @throws {OperatingError} 'model-unknown' if it is not NAME or NAME@VERSION. */
export function referenceOf(text: string): ModelReference {
  const reference = parseModelReference(text);
  if (reference === undefined) throw v2Failure('model-unknown', `'${text}' is not a valid model name`);
  return reference;
}

/** Returns an entry of the index of the repository. */
export function entryJson({ name, version, state, reason }: RepositoryEntry) {
  const known = state === 'ready' ? 'READY' : state === 'loading' ? 'LOADING' : 'UNAVAILABLE';
  // The protocol has an empty text for a version without a reason.
  return { name, version: String(version), state: known, reason: reason ?? '' };
}
