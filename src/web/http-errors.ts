import type { Disposition, ErrorCatalogue } from '../platform/errors.ts';
import { OperatingError } from '../platform/errors.ts';

export const httpErrors = {
  'http-listen-failed': {
    disposition: 'retry',
    meaning: 'The HTTP endpoint could not take its address; everything else goes on, and it tries again.',
    remedy: 'See which program holds the address, or give http.listen another one.',
  },
  'http-busy': {
    disposition: 'retry',
    meaning: 'A thousand requests have arrived and wait to be handled; the watches go on.',
    remedy: 'Ask again after the seconds in `Retry-After`; wait for the answers before the next requests.',
  },
  'gateway-away': {
    disposition: 'retry',
    meaning: 'The process that serves models to clients is not there: it starts, or has ended; the watches go on.',
    remedy: 'Ask again after the seconds in `Retry-After`. Where it keeps ending, health and the log say how.',
  },
  'alarm-shelving-invalid': {
    disposition: 'reject',
    meaning: 'An alarm was to be shelved into the past or for longer than a week.',
    remedy: 'Shelve for a shorter time; put an alarm that is unwanted for longer out of service in the configuration.',
  },
} as const satisfies ErrorCatalogue;

export function httpFailure(code: keyof typeof httpErrors, message: string, options?: ErrorOptions): OperatingError {
  const disposition: Disposition = httpErrors[code].disposition;
  return new OperatingError(code, disposition, message, options);
}
