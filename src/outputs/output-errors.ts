import { type ErrorCatalogue, failures, retry } from '../platform/errors.ts';

export const outputErrors = {
  'output-unreachable': retry(
    'No connection to the device of an output: refused, reset, no route, or the serial port could not be opened.',
    'Check power, network, `url` and the number of connections that the device allows (`closeAfterWrite: true`). The write is repeated.',
  ),
  'output-timeout': retry(
    'The device of an output did not answer within `timeout`. The connection was closed, so that a late answer is not taken for the next one.',
    'Check the unit id, or raise `timeout` of the output. The write is repeated.',
  ),
  'output-refused': retry(
    'The device refused the write of an output with a Modbus exception.',
    'Check address and kind (coil or register) against the manual, and whether the device accepts function code 5 or 6 (`write.multiple: true` uses 15 and 16). The write is repeated.',
  ),
  'output-answer-invalid': retry(
    'The answer to the write of an output names another address or value, or is not valid Modbus.',
    'Check the framing of `url`, and that no other master uses the line.',
  ),
  'output-mismatch': retry(
    'The device had another value than the written one when it was read back.',
    'Another program writes the address, or the device uses it for something else. Give the output an address of its own.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const outputFailure = failures(outputErrors);
