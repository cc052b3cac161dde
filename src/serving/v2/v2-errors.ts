import { type ErrorCatalogue, failures, reject, retry } from '../../platform/errors.ts';

/** Errors of the model server, other than those of the inference hosts. */
export const v2Errors = {
  'infer-request-invalid': reject(
    'A request to `/v2` violates the Open Inference Protocol: its JSON, a shape, a length or a value is wrong.',
    'The message gives the place in the request, the value found and what was expected.',
  ),
  'infer-request-unsupported': reject(
    'A request to `/v2` uses an extension that andon does not have, for example shared memory.',
    'Remove the parameter; docs/serving.md lists the supported extensions.',
  ),
  'infer-request-too-large': reject(
    'The body of a request is larger than `serving.maxBody`, as sent or after decompression.',
    'Send fewer rows in one request, or raise `serving.maxBody`.',
  ),
  'infer-busy': retry(
    'The requests in progress use all the memory that client requests may use. Monitoring is not affected.',
    'Retry after the seconds in `Retry-After`; send fewer or smaller requests at a time.',
  ),
  'generate-busy': retry(
    'Generations of text in progress have reached a limit of `serving.generation`: their number or their memory.',
    'Retry after the seconds in `Retry-After`, or raise the limit in `serving.generation`.',
  ),
  'model-unknown': reject(
    'A request to `/v2` names a model or version that is not loaded.',
    'See `GET /api/v1/models`; `models.serve` names the models that are loaded without a watch.',
  ),
  'model-server-away': retry(
    'The model server, the process that serves models to clients, does not answer. Monitoring is not affected.',
    'It is restarted automatically. If it keeps ending, the component `serving` in health and the log give the reason.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const v2Failure = failures(v2Errors);
