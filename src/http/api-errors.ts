import { type ErrorCatalogue, failures, reject, retry } from '../platform/errors.ts';

/** Errors of the agent's own API. */
export const apiErrors = {
  'http-busy': retry(
    '1,000 requests have arrived and wait to be handled. Monitoring is not affected.',
    'Retry after the seconds in `Retry-After`; wait for the responses before sending further requests.',
  ),
  'alarm-shelving-invalid': reject(
    'The time until which an alarm was to be shelved is in the past or more than a week ahead.',
    'Shelve for a shorter time. If an alarm is unwanted for longer, put it out of service in the configuration.',
  ),
  'source-without-registers': reject(
    'The configuration has no such source, or it is not of the kind that the request is for.',
    'See `GET /api/v1/sources`.',
  ),
  'source-without-topics': reject(
    'The configuration has no such source, or it does not read from a broker.',
    'See `GET /api/v1/sources`.',
  ),
  'source-without-nodes': reject(
    'The configuration has no such source, or it does not read from an OPC UA server.',
    'See `GET /api/v1/sources`.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const apiFailure = failures(apiErrors);
