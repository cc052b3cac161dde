import type { ErrorCatalogue } from '../platform/errors.ts';

export const alarmErrors = {
  'alarm-unknown': {
    disposition: 'reject',
    meaning: 'No watch of this name has an alarm.',
    remedy: 'GET /api/v1/alarms lists the names.',
  },
  'alarm-not-acknowledgeable': {
    disposition: 'reject',
    meaning: 'The state of the alarm needs no acknowledgement, or the alarm is suppressed.',
    remedy: 'None: another operator may have acknowledged it.',
  },
  'alarm-not-shelved': {
    disposition: 'reject',
    meaning: 'The alarm is not shelved, so it cannot be unshelved.',
    remedy: 'None: its shelving time may have ended.',
  },
  'alarm-out-of-service': {
    disposition: 'reject',
    meaning: 'An alarm that is out of service cannot be shelved.',
    remedy: 'Remove alarm.outOfService from the configuration of the watch to put it in service again.',
  },
  'alarms-not-restored': {
    disposition: 'retry',
    meaning: 'The stored alarms could not be read yet. Their states are unknown, and operators cannot act on them.',
    remedy: 'Check the health of `outbox`. The agent retries automatically.',
  },
} as const satisfies ErrorCatalogue;
