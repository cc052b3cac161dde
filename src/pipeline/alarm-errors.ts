import type { ErrorCatalogue } from '../platform/errors.ts';

export const alarmErrors = {
  'alarm-unknown': {
    disposition: 'reject',
    meaning: 'There is no watch of this name with an alarm.',
    remedy: 'See GET /api/v1/alarms for the names.',
  },
  'alarm-not-acknowledgeable': {
    disposition: 'reject',
    meaning: 'The alarm is in a state that needs no acknowledgement, or is suppressed.',
    remedy: 'Nothing: someone else may have acknowledged it already.',
  },
  'alarm-not-shelved': {
    disposition: 'reject',
    meaning: 'The alarm is not on the shelf, so it cannot be taken off.',
    remedy: 'Nothing: its shelving may have ended by itself.',
  },
  'alarm-out-of-service': {
    disposition: 'reject',
    meaning: 'An alarm out of service was to be shelved.',
    remedy: 'Remove alarm.outOfService from the configuration of the watch to put it in service again.',
  },
  'alarms-not-restored': {
    disposition: 'retry',
    meaning: 'The stored alarms could not be read yet: nobody knows how they are, and no operator can act on them.',
    remedy: 'See the health of the outbox; the agent goes on trying.',
  },
} as const satisfies ErrorCatalogue;
