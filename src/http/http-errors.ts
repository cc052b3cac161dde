import type { ErrorCatalogue } from '../platform/errors.ts';

export const httpErrors = {
  'http-listen-failed': {
    disposition: 'retry',
    meaning: 'The HTTP endpoint could not take its address; everything else goes on, and it tries again.',
    remedy: 'See which program holds the address, or give http.listen another one.',
  },
  'alarm-shelving-invalid': {
    disposition: 'reject',
    meaning: 'An alarm was to be shelved into the past or for longer than a week.',
    remedy: 'Shelve for a shorter time; put an alarm that is unwanted for longer out of service in the configuration.',
  },
} as const satisfies ErrorCatalogue;
