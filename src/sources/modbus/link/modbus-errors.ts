import type { ErrorCatalogue } from '../../../platform/errors.ts';

export const modbusErrors = {
  'modbus-connect-failed': {
    disposition: 'retry',
    meaning:
      'No connection to the Modbus device: it refused, could not be reached, or did not accept within connectTimeout; or the serial port could not be opened.',
    remedy:
      "Check the device's power, its network, the url's host and port, and whether another master holds its last connection. For a serial port: its path, the right to open it (group dialout), and that no other program holds it. andon goes on trying with growing waits.",
  },
  'modbus-connection-lost': {
    disposition: 'retry',
    meaning: 'The device closed the connection, or the network broke it, before a read was answered.',
    remedy: 'A device that closes again and again often allows few connections at once, or ends idle ones.',
  },
  'modbus-link-down': {
    disposition: 'retry',
    meaning:
      'Nothing was asked, because there is no connection at present, or another master uses the line. The tags of the scan are bad with reason link-down.',
    remedy:
      'See the reason of the source in the health report: it names why the connection cannot be made. Where it speaks of answers that andon did not ask for, end the other master, or give each a line of its own; a serial server must not hand answers to every connection.',
  },
  'modbus-timeout': {
    disposition: 'retry',
    meaning:
      'A unit did not answer within timeout. The connection was ended, or on a serial line everything thrown away until it was silent, so that the answer cannot be taken for the answer to a later read.',
    remedy: "Check the unit id and the gateway's wiring; give a slow device a longer timeout.",
  },
  'modbus-garbled-answer': {
    disposition: 'retry',
    meaning:
      'The answer did not belong to the question: its transaction id, protocol id, length, unit id, function code, byte count or checksum was another. The connection was ended, or on a serial line everything thrown away until it was silent, and nothing of the answer used.',
    remedy:
      "Once in a while: noise on a serial line. Always, on a serial line: another baud rate or parity than the device's, or an adapter that echoes what it sends. Always, on a network: tcp:// where the device speaks rtu+tcp://, or the other way round; with a wrong unit id, a gateway that answers for another unit. Always for the same read: the device breaks the protocol there; take those tags out or read them one by one with maxGap 0.",
  },
  'modbus-refused': {
    disposition: 'reject',
    meaning:
      'The device answered with an exception. A joined read is split until the refused tag is found; the tag is set aside and tried again now and then, the others keep their rate.',
    remedy:
      "Check the tag's register kind and address against the device's manual (many number from 1, andon counts from 0 as on the wire).",
  },
} as const satisfies ErrorCatalogue;
