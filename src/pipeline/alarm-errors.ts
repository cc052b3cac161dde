import { type ErrorCatalogue, failures, reject, retry } from '../platform/errors.ts';

export const alarmErrors = {
  'alarm-unknown': reject(
    'There is no alarm with this id.',
    '`andon alarms list` or GET /api/v1/alarms lists the ids.',
  ),
  'alarm-not-acknowledgeable': reject(
    'The state of the alarm needs no acknowledgement, or the alarm is suppressed.',
    'None: another operator may have acknowledged it.',
  ),
  'alarm-not-shelved': reject(
    'The alarm is not shelved, so it cannot be unshelved.',
    'None: its shelving time may have ended.',
  ),
  'alarm-out-of-service': reject(
    'An alarm that is out of service cannot be shelved.',
    'Remove outOfService from the alarm in the configuration to put it in service again.',
  ),
  'alarms-not-restored': retry(
    'The stored alarms could not be read yet. Their states are unknown, and operators cannot act on them.',
    'Check the health of `outbox`. The agent retries automatically.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const alarmFailure = failures(alarmErrors);
