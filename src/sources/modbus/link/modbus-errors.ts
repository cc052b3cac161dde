import type { QualityReason } from '../../../domain/sample/quality.ts';
import { type ErrorCatalogue, failures, reject, retry } from '../../../platform/errors.ts';
import type { ReadFailure } from './modbus-link.ts';

export const modbusErrors = {
  'modbus-connect-failed': retry(
    'No connection to the Modbus device: it refused, was not reachable, or did not accept within connectTimeout; or the serial port could not be opened.',
    "Check the device's power, its network, the url's host and port, and whether another master holds its last connection. For a serial port: its path, the right to open it (group dialout), and that no other program holds it. andon goes on trying with growing waits.",
  ),
  'modbus-connection-lost': retry(
    'The device or the network closed the connection before a read was answered.',
    'A device that closes repeatedly often limits the number of connections or closes idle ones. Check its connection settings.',
  ),
  'modbus-link-down': retry(
    'No request was sent, because there is no connection or another master uses the line. The tags of the scan are bad with reason link-down.',
    'See the reason of the source in the health report. If it reports responses that andon did not request, remove the other master or give it a line of its own; a serial device server must not send responses to every connection.',
  ),
  'modbus-timeout': retry(
    'A unit did not answer within timeout. The connection was closed (on a serial line: received bytes were discarded until it was silent), so that a late response cannot be taken for the response to a later read.',
    "Check the unit id and the gateway's wiring; give a slow device a longer timeout. A gateway that does not answer the first requests of a connection needs pauseAfterConnect.",
  ),
  'modbus-garbled-answer': retry(
    'The response did not match its request: wrong transaction id, protocol id, length, unit id, function code, byte count or checksum. The message has the expected and the found value and the received bytes. No value of it was used. The connection was closed (on a serial line: received bytes were discarded until it was silent).',
    "Once in a while: noise on a serial line. Always, on a serial line: another baud rate or parity than the device's, or more than 32 stray bytes around each frame. Always, on a network: tcp:// for a device that needs rtu+tcp:// or ascii+tcp://, or the other way round. Wrong transaction id: a gateway that does not return it (transactionId: ignore). Wrong unit id: a gateway that answers as another unit (set unitId to the unit found). Only for some reads: the device breaks the protocol for these registers; read them with maxGap: 0 or remove those tags.",
  ),
  'modbus-refused': reject(
    'The device answered with an exception. A joined read is split until the refused tag is found. That tag is disabled and retried with waits of 5 s to 5 min; the other tags keep their rate.',
    "Check the tag's register kind and address against the device's manual (many number from 1, andon counts from 0 as on the wire).",
  ),
  'modbus-browser-busy': retry(
    'Another read of registers for a person is under way on this source: there is one at a time, so that scans are not disturbed.',
    'Try again.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const modbusFailure = failures(modbusErrors);

/** Returns the reason of the tags of a read without a response. */
export function reasonOfFailure(code: ReadFailure['code']): QualityReason {
  switch (code) {
    case 'modbus-timeout':
      return 'timeout';
    case 'modbus-garbled-answer':
      return 'garbled-answer';
    case 'modbus-connection-lost':
    case 'modbus-link-down':
      return 'link-down';
  }
}
