import type { ClientInference, RunResult, ServedModel } from '../../contracts/inference.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { malformed } from '../../protocols/open-inference/malformed.ts';
import type { InferRequest, RequestedOutput } from './infer-request.ts';
import type { InferAnswer } from './infer-response.ts';
import type { FoundModel } from './model-lookup.ts';

/**
 * Runs the model of a request.
 *
 * @param version As in the request; undefined for the active one.
 * @throws {OperatingError} 'infer-request-invalid' if the model lacks a requested output; 'model-not-ready'; the errors of
 *   `ClientInference.run`.
 */
export async function runRequest(
  inference: Pick<ClientInference, 'run'>,
  asked: InferRequest,
  model: FoundModel,
  version: string | undefined,
): Promise<InferAnswer> {
  const outputs = requestedOutputs(asked, model.served);
  const result = await inference.run(model.reference, asked.inputs);
  checkVersion(model, result, version);
  return {
    model: model.reference.name,
    version: result.judgedBy.version,
    id: asked.id,
    parameters: asked.parameters,
    outputs,
    tensors: result.outputs,
  };
}

function requestedOutputs(asked: InferRequest, { outputs }: ServedModel): readonly RequestedOutput[] {
  if (asked.outputs === undefined) return outputs.map(({ name }) => ({ name, binary: asked.binaryOutput }));
  for (const { name } of asked.outputs)
    if (!outputs.some((output) => output.name === name))
      throw malformed(
        `The model has no output '${name}'; its outputs are ${outputs.map((each) => `'${each.name}'`).join(', ')}`,
      );
  return asked.outputs;
}

/**
 * The active version may change while a request waits. A request for a version by number must not get the result of another.
 *
 * @throws {OperatingError} 'model-not-ready'
 */
function checkVersion({ reference }: FoundModel, { judgedBy }: RunResult, version: string | undefined): void {
  if (version === undefined || version === String(judgedBy.version)) return;
  const text = `Version ${judgedBy.version} of model '${reference.name}' replaced version ${version} during the request`;
  throw inferenceFailure('model-not-ready', text);
}
