import { type ErrorCatalogue, OperatingError, reject, retry } from '../platform/errors.ts';

export const fleetErrors = {
  'fleet-unreachable': retry(
    'No connection to the NATS server of the fleet, or it did not answer in time. The box keeps its models and its configuration.',
    'Check `fleet.url`, network, firewall and certificate. The connection is tried again automatically.',
  ),
  'fleet-not-admitted': retry(
    'The NATS server of the fleet refused the credentials of this box: they were revoked, or the box lacks a permission.',
    'Ask the fleet for a new token and run `andon agent enrol` again.',
  ),
  'fleet-state-invalid': reject(
    'The desired state of this box is not valid, or has a key that this version of andon does not know.',
    'Correct it with `andon fleet desired`, or upgrade the agent. Nothing was changed.',
  ),
  'fleet-file-missing': retry(
    'A package or configuration of the desired state is not in the object store of the fleet, or is damaged.',
    'Set the desired state again with `andon fleet desired`, which uploads the files.',
  ),
  'fleet-file-too-large': reject(
    'A package or configuration is larger than the object store of the fleet takes (200 MB).',
    'Serve the package over HTTPS and set its `url` in the desired state.',
  ),
  'fleet-token-invalid': reject(
    'The token of an enrolment is unknown, was used before, or has expired.',
    'Get another one with `andon fleet enrol BOX`.',
  ),
  'fleet-box-unknown': reject('The fleet has no box of this name.', 'List the boxes with `andon fleet boxes`.'),
  'fleet-configuration-refused': reject(
    'The configuration of the fleet cannot be used on this box: a variable has no value, `andon check` found an error, or it changes a section that only a local edit may change. Nothing was changed.',
    'Correct the configuration or the variables of the box, and set it again with `andon fleet desired`.',
  ),
  'fleet-configuration-reverted': reject(
    'Parts of the agent stopped working with the configuration of the fleet. The configuration and the models of before are in use again.',
    'Read the reason in the log of the box, correct the configuration and set it again with `andon fleet desired`.',
  ),
  'fleet-version-rejected': reject(
    'A version of a model failed on this box in its probation, and the version before is active again.',
    'Set another version. To try the same one again: `andon models activate` on the box.',
  ),
} as const satisfies ErrorCatalogue;

export type FleetErrorCode = keyof typeof fleetErrors;

/** An error of the connection to the fleet or of its desired state. */
export function fleetFailure(code: FleetErrorCode, message: string, options?: ErrorOptions): OperatingError {
  return new OperatingError(code, fleetErrors[code].disposition, message, options);
}
