import type { TensorSpec } from '../../contracts/inference.ts';
import { tensorTypeOf } from '../../protocols/open-inference/datatypes.ts';
import { type JsonObject, listOf, nameOf, objectOf, stringOf } from '../../protocols/open-inference/json-fields.ts';
import { parseJson } from '../../protocols/open-inference/json-text.ts';
import { errorMessage, OperatingError } from '../../platform/errors.ts';
import type { GraphSpecs } from '../../models/checks/graph-proof.ts';
import type { RemoteClient } from './remote-client.ts';
import { remoteFailure } from '../../models/errors/remote-errors.ts';

/** A healthy server answers requests for metadata immediately. */
const METADATA_MS_MAX = 5_000;
const BINARY_EXTENSION = 'binary_tensor_data';

/** Metadata of a server and one of its models. */
export type RemoteMetadata = GraphSpecs & {
  /** True if tensors may be sent in binary form. */
  readonly binary: boolean;
};

/** A model on a server. */
export type RemotePlace = {
  readonly model: string;
  /** Undefined for the one that the server chooses. */
  readonly version: string | undefined;
  /** `/v2/models/<model>[/versions/<version>]`. */
  readonly path: string;
};

/**
 * Requests the readiness of a server and a model, and the model's inputs and outputs.
 *
 * A server is not ready if any of its models is not, so the readiness of the model decides.
 *
 * @throws {OperatingError} 'remote-not-ready', 'remote-answer-invalid', and the errors of `RemoteClient.ask` (retry).
 */
export async function readMetadata(client: RemoteClient, place: RemotePlace): Promise<RemoteMetadata> {
  const label = `model '${place.model}'${place.version === undefined ? '' : ` version ${place.version}`}`;
  const serverReady = await isReady(client, '/v2/health/ready');
  if (!(await isReady(client, `${place.path}/ready`)))
    throw remoteFailure(
      'remote-not-ready',
      `${label} is not ready at ${client.origin}${serverReady ? '' : ', nor is the server'}`,
    );
  const server = await askJson(client, '/v2', 'The metadata of the server');
  const model = await askJson(client, place.path, `The metadata of ${label}`);
  try {
    if (model['name'] !== place.model)
      throw remoteFailure(
        'remote-answer-invalid',
        `The metadata of ${label} is of '${String(model['name']).slice(0, 40)}'`,
      );
    const extensions = server['extensions'] === undefined ? [] : listOf(server['extensions'], "'extensions'");
    return {
      binary: extensions.includes(BINARY_EXTENSION),
      inputs: specsOf(model, 'inputs'),
      outputs: specsOf(model, 'outputs'),
    };
  } catch (error) {
    throw answerFault(error, `The metadata of ${label}`);
  }
}

/** @returns False if the server answers 'not ready'; throws if it does not answer. */
async function isReady(client: RemoteClient, path: string): Promise<boolean> {
  try {
    const { body } = await client.ask({ method: 'GET', path, headers: {}, body: undefined }, METADATA_MS_MAX, 0);
    // Some answer 200 with `{"ready": false}`; many without a body.
    return !/"ready"\s*:\s*false/.test(new TextDecoder().decode(body.subarray(0, 4_096)));
  } catch (error) {
    if (error instanceof OperatingError && saysNo.has(error.code)) return false;
    throw error;
  }
}

/** Servers answer 'not ready' with 4xx or 503, and for an unknown model with 404 or 400. */
const saysNo: ReadonlySet<string> = new Set(['remote-busy', 'remote-request-refused']);

async function askJson(client: RemoteClient, path: string, what: string): Promise<JsonObject> {
  const { body } = await client.ask({ method: 'GET', path, headers: {}, body: undefined }, METADATA_MS_MAX, 0);
  try {
    return objectOf(parseJson(body, what), what);
  } catch (error) {
    throw answerFault(error, what);
  }
}

function specsOf(model: JsonObject, list: 'inputs' | 'outputs'): readonly TensorSpec[] {
  return listOf(model[list], `'${list}'`).map((value, index) => {
    const spec = objectOf(value, `${list}[${index}]`);
    const name = nameOf(spec, `${list}[${index}]`);
    const datatype = stringOf(spec['datatype'], `'${name}' 'datatype'`);
    const type = tensorTypeOf(datatype);
    if (type === undefined)
      throw remoteFailure(
        'remote-answer-invalid',
        `'${name}' has datatype '${datatype.slice(0, 40)}', which andon does not pass on`,
      );
    const dims = listOf(spec['shape'], `'${name}' 'shape'`).map((size) => {
      // Some servers write 64-bit integers as text.
      const number = typeof size === 'string' && /^-?\d{1,15}$/.test(size) ? Number(size) : size;
      if (typeof number === 'number' && Number.isSafeInteger(number) && number >= -1) return number;
      throw remoteFailure(
        'remote-answer-invalid',
        `'${name}' has a shape with ${JSON.stringify(size).slice(0, 40)}, which is not a size`,
      );
    });
    return { name, type, dims };
  });
}

function answerFault(error: unknown, what: string): unknown {
  if (!(error instanceof OperatingError) || error.code === 'remote-answer-invalid') return error;
  return remoteFailure('remote-answer-invalid', `${what}: ${errorMessage(error)}`, { cause: error });
}
