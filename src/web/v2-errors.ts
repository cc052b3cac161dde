import type { Disposition, ErrorCatalogue } from '../platform/errors.ts';
import { OperatingError } from '../platform/errors.ts';

/** Errors of the Open Inference Protocol's endpoint that are not the inference host's own. */
export const v2Errors = {
  'infer-request-invalid': {
    disposition: 'reject',
    meaning:
      'A request to `/v2` is not what the Open Inference Protocol allows: its JSON, a shape, a length or a value.',
    remedy: 'The message names the place in the request, what stood there and what was expected.',
  },
  'infer-request-unsupported': {
    disposition: 'reject',
    meaning: 'A request to `/v2` asks for an extension that andon does not have, such as shared memory.',
    remedy: 'Leave the parameter out; docs/serving.md lists the extensions that there are.',
  },
  'infer-request-too-large': {
    disposition: 'reject',
    meaning: 'The body of a request is larger than `http.maxBody`, as sent or once it is decompressed.',
    remedy: 'Send fewer rows at once, or raise `http.maxBody`.',
  },
  'infer-busy': {
    disposition: 'retry',
    meaning: 'The requests under way together hold as much memory as clients may take; the watches go on.',
    remedy: 'Ask again after the seconds in `Retry-After`; send fewer or smaller requests at once.',
  },
  'generate-busy': {
    disposition: 'retry',
    meaning: 'As many generations of text are under way as `http.generation` allows, or they hold as much memory.',
    remedy: 'Ask again after the seconds in `Retry-After`, or raise `http.generation`.',
  },
  'model-unknown': {
    disposition: 'reject',
    meaning: 'A request to `/v2` names a model or version that is not loaded.',
    remedy: 'See `GET /api/v1/models`; `models.serve` names the models that are loaded without a watch.',
  },
  'repository-off': {
    disposition: 'reject',
    meaning: 'The model repository can be seen and changed over HTTP only where `http.adminToken` is configured.',
    remedy: 'Set `http.adminToken`, or use `andon models` on the box.',
  },
  'admin-token-needed': {
    disposition: 'reject',
    meaning: 'A request to the model repository came without the admin token, or with another one.',
    remedy: 'Send `Authorization: Bearer <http.adminToken>`.',
  },
} as const satisfies ErrorCatalogue;

export type V2ErrorCode = keyof typeof v2Errors;

export function v2Failure(code: V2ErrorCode, message: string, options?: ErrorOptions): OperatingError {
  const disposition: Disposition = v2Errors[code].disposition;
  return new OperatingError(code, disposition, message, options);
}

/** A request that is wrong: what, where and what was expected. */
export function invalid(message: string): OperatingError {
  return v2Failure('infer-request-invalid', message);
}
