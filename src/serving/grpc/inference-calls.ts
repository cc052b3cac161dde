import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { ClientInference } from '../../contracts/inference.ts';
import type { Deps } from '../../platform/deps.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { AccessControl } from '../../web/access/access-control.ts';
import type { InferRequest } from '../v2/infer-request.ts';
import type { InferAnswer } from '../v2/infer-response.ts';
import { configurationJson, metadataJson, statisticsJson } from '../v2/model-json.ts';
import { findModel, lookUpModel, servedVersions } from '../v2/model-lookup.ts';
import { modelReadiness, statisticsOf } from '../v2/model-routes.ts';
import { checkLoadParameters, entryJson, referenceOf } from '../v2/repository-routes.ts';
import type { RequestResources } from '../v2/request-resources.ts';
import { runRequest } from '../v2/run-request.ts';
import { isReady, serverMetadata } from '../v2/server-metadata.ts';
import { v2Metrics } from '../v2/v2-metrics.ts';
import { callOrigin, type MethodName, methodNames } from './call-access.ts';
import { decodeRequest, encodeAnswer } from './grpc-codec.ts';
import { statusOf } from './grpc-status.ts';
import { inferResponse } from './infer-messages.ts';
import { methodOf } from './inference-service.ts';

export type InferenceCallsOptions = {
  readonly inference: ClientInference;
  readonly resources: RequestResources;
  /** Version of andon. */
  readonly version: string;
  /** True if the server is ready only with every model that should run. */
  readonly strictReadiness: boolean;
  readonly access: AccessControl;
  readonly deps: Deps;
};

type NamedModel = { readonly name: string; readonly version: string };
/** Fields of the requests without tensors. Each method has some of them. */
type SmallRequest = NamedModel & { readonly model_name: string; readonly parameters: object; readonly ready: boolean };

/** Requests a last response that marks the end, from models that answer several times. */
const FINAL_REQUEST = 'triton_enable_empty_final_response';
const FINAL_RESPONSE = 'triton_final_response';

const asBytes = (bytes: Buffer): Buffer => bytes;

/** Methods of the service. Requests stay bytes: the gate measures them, and a large one may be the work of the codec thread. */
export function serviceDefinition(): ServiceDefinition {
  return Object.fromEntries(
    methodNames.map((name) => {
      const method = { ...methodOf(name), requestDeserialize: asBytes };
      if (name !== 'ModelInfer') return [name, method];
      return [
        name,
        {
          ...method,
          responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        },
      ];
    }),
  );
}

/** Handlers of all methods. */
export function inferenceCalls(options: InferenceCallsOptions): UntypedServiceImplementation {
  const handlers: Readonly<Record<MethodName, UntypedServiceImplementation[string]>> = {
    ...metadataCalls(options),
    ModelInfer: unary(options, (message) =>
      runMessage(options, message, (answer) => encodeAnswer(options.resources.codec, answer)),
    ),
    ModelStreamInfer: (call: ServerDuplexStream<Uint8Array, object>) => void answerStream(options, call),
    ...repositoryCalls(options),
  };
  return handlers;
}

function metadataCalls(options: InferenceCallsOptions) {
  const { inference, version, strictReadiness, access } = options;
  const models = () => inference.models();
  return {
    ServerLive: unary(options, () => ({ live: true })),
    ServerReady: unary(options, async () => ({ ready: isReady(await models(), strictReadiness) })),
    ServerMetadata: unary(options, () => serverMetadata(version, [], access)),
    ModelReady: parsed(options, 'ModelReady', async (asked) => ({
      ready: isModelReady(await models(), asked),
    })),
    ModelMetadata: parsed(options, 'ModelMetadata', async (asked) => {
      const loaded = await models();
      const { served } = lookUpModel(loaded, asked.name, versionOf(asked.version));
      const versions = servedVersions(loaded, asked.name).map((each) => each.served.judgedBy.version);
      return metadataJson(asked.name, versions, served);
    }),
    ModelConfig: parsed(options, 'ModelConfig', async (asked) => ({
      config: configurationJson(asked.name, lookUpModel(await models(), asked.name, versionOf(asked.version)).served),
    })),
    ModelStatistics: parsed(options, 'ModelStatistics', async ({ name, version: asked }) => {
      const loaded = await models();
      const found = name === '' ? loaded.statistics() : statisticsOf(loaded, modelParams(name, versionOf(asked)));
      return { model_stats: found.map(statisticsJson) };
    }),
  };
}

function repositoryCalls(options: InferenceCallsOptions) {
  const { inference } = options;
  return {
    RepositoryIndex: parsed(options, 'RepositoryIndex', async ({ ready }) => {
      const entries = await inference.repository();
      return { models: entries.filter(({ state }) => !ready || state === 'ready').map(entryJson) };
    }),
    RepositoryModelLoad: parsed(options, 'RepositoryModelLoad', async ({ model_name: name, parameters }) => {
      checkLoadParameters(parameters);
      await inference.load(referenceOf(name));
      return {};
    }),
    RepositoryModelUnload: parsed(options, 'RepositoryModelUnload', async ({ model_name: name }) => {
      await inference.unload(referenceOf(name));
      return {};
    }),
  };
}

/** Returns the handler of a method with one small request. */
function parsed(
  options: InferenceCallsOptions,
  name: MethodName,
  answer: (request: SmallRequest) => object | Promise<object>,
) {
  return unary(options, (message) => answer(methodOf(name).requestDeserialize(Buffer.from(message)) as SmallRequest));
}

/** Returns the handler of a method with one answer. */
function unary({ deps }: InferenceCallsOptions, answer: (message: Uint8Array) => object | Promise<object>) {
  const { andon_http_infer_refused_total: refused } = deps.metrics.of(v2Metrics);
  const run = async (message: Uint8Array, respond: sendUnaryData<object>): Promise<void> => {
    try {
      respond(null, await answer(message));
    } catch (error) {
      refused.inc({ code: errorCode(error) });
      respond(statusOf(error));
    }
  };
  return ({ request }: ServerUnaryCall<Uint8Array, object>, respond: sendUnaryData<object>): void =>
    void run(request, respond);
}

/** Runs the model of a `ModelInferRequest`. */
async function runMessage<Result>(
  { inference, resources: { codec } }: InferenceCallsOptions,
  message: Uint8Array,
  write: (answer: InferAnswer, asked: InferRequest) => Result | Promise<Result>,
): Promise<Result> {
  const asked = await decodeRequest(codec, message);
  const model = await findModel(inference, asked.model, asked.version);
  return await write(await runRequest(inference, asked, model, asked.version), asked);
}

/** Answers the requests of a stream in their order. A request that fails has an error message, and the stream continues. */
async function answerStream(
  options: InferenceCallsOptions,
  call: ServerDuplexStream<Uint8Array, object>,
): Promise<void> {
  const { access, deps, resources } = options;
  const { andon_http_infer_refused_total: refused } = deps.metrics.of(v2Metrics);
  const origin = callOrigin(call.metadata, {
    getConnectionInfo: () => ({ remoteAddress: peerAddress(call.getPeer()) }),
  });
  try {
    for await (const message of call as AsyncIterable<Uint8Array>) {
      // The token may have been revoked since the last message.
      access.admitCall(origin, 'infer');
      let response: object;
      let release = () => {};
      try {
        release = resources.takeMemory(message.length);
        response = { infer_response: await runMessage(options, message, streamedResponse) };
      } catch (error) {
        refused.inc({ code: errorCode(error) });
        response = { error_message: errorMessage(error) };
      }
      await new Promise<void>((resolve) => call.write(response, () => resolve()));
      release();
    }
    call.end();
  } catch (error) {
    if (!call.cancelled) call.emit('error', statusOf(error));
  }
}

function streamedResponse({ parameters, ...answer }: InferAnswer): object {
  const { [FINAL_REQUEST]: wantsFinal, ...own } = parameters;
  return inferResponse({ ...answer, parameters: wantsFinal === true ? { ...own, [FINAL_RESPONSE]: true } : own });
}

function isModelReady(models: Parameters<typeof modelReadiness>[0], { name, version }: NamedModel): boolean {
  try {
    return modelReadiness(models, modelParams(name, versionOf(version))).ready;
  } catch (error) {
    // Triton's clients expect an answer for a model that is not there.
    if (errorCode(error) === 'model-unknown') return false;
    throw error;
  }
}

/** The protocol has an empty text for the active version. */
function versionOf(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function modelParams(model: string, version: string | undefined) {
  return version === undefined ? { model } : { model, version };
}

/** Returns the address of a peer: `127.0.0.1:4711` or `[::1]:4711`. */
function peerAddress(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
