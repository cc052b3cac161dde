import type { FastifyInstance } from 'fastify';
import type { LoadedModels, ModelStatistics, ClientInference } from '../../contracts/inference.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import { configurationJson, metadataJson, statisticsJson } from './model-json.ts';
import { lookUpModel, modelLabel, ofVersion, servedVersions } from './model-lookup.ts';
import { operation } from './operation.ts';
import { v2Failure } from './v2-errors.ts';

/** Parameters of the paths of a model. */
export type ModelParams = { readonly model: string; readonly version?: string };
type ModelRoute = { readonly Params: ModelParams };

/** Paths of a model, without and with a version. */
export const MODEL_PATHS = ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const;

/** Metadata, configuration, readiness and statistics of models; each path with and without a version. */
export function registerModelRoutes(app: FastifyInstance, inference: Pick<ClientInference, 'models'>): void {
  for (const path of MODEL_PATHS) {
    app.get<ModelRoute>(path, { schema: operation('Metadata of a model') }, async ({ params }) => {
      const models = await inference.models();
      const { served } = lookUpModel(models, params.model, params.version);
      const versions = servedVersions(models, params.model).map((each) => each.served.judgedBy.version);
      return metadataJson(params.model, versions, served);
    });
    app.get<ModelRoute>(`${path}/config`, { schema: operation('Configuration of a model') }, async ({ params }) =>
      configurationJson(params.model, lookUpModel(await inference.models(), params.model, params.version).served),
    );
    app.get<ModelRoute>(`${path}/ready`, { schema: operation('Readiness of a model') }, async ({ params }, reply) => {
      const readiness = modelReadiness(await inference.models(), params);
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    });
    app.get<ModelRoute>(`${path}/stats`, { schema: operation('Statistics of a model') }, async ({ params }) => ({
      model_stats: statisticsOf(await inference.models(), params).map(statisticsJson),
    }));
  }
  app.get('/v2/models/stats', { schema: operation('Statistics of every model') }, async () => ({
    model_stats: (await inference.models()).statistics().map(statisticsJson),
  }));
}

/** @throws {OperatingError} 'model-unknown' if the model is not loaded; a loaded one is ready or not. */
export function modelReadiness(models: LoadedModels, { model, version }: ModelParams) {
  try {
    lookUpModel(models, model, version);
    return { name: model, ready: true };
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'model-not-ready')
      return { name: model, ready: false, error: errorMessage(error) };
    throw error;
  }
}

export function statisticsOf(models: LoadedModels, { model, version }: ModelParams): readonly ModelStatistics[] {
  const found = ofVersion(models.statistics(), model, version);
  if (found.length === 0) throw v2Failure('model-unknown', `Model ${modelLabel(model, version)} is not loaded`);
  return found;
}
