import { asciiFraming, tolerantAsciiFraming } from './ascii-frame.ts';
import type { Framing } from './framing.ts';
import { mbapFraming, mbapFramingWithoutIds } from './mbap-frame.ts';
import type { ModbusEndpoint } from '../../../protocols/modbus/modbus-url.ts';
import { rtuFraming, tolerantRtuFraming } from './rtu-frame.ts';

/** How strictly the frames of a link are checked. */
export type FramingRules = {
  /** `tolerant`: stray bytes before and after a frame with a checksum are ignored. */
  readonly framing: 'tolerant' | 'strict';
  /** `ignore`: the gateway does not return the transaction id of Modbus TCP. */
  readonly transactionId: 'check' | 'ignore';
};

export function framingOf({ framing }: ModbusEndpoint, rules: FramingRules): Framing {
  const isTolerant = rules.framing === 'tolerant';
  switch (framing) {
    case 'mbap':
      return rules.transactionId === 'check' ? mbapFraming : mbapFramingWithoutIds;
    case 'rtu':
      return isTolerant ? tolerantRtuFraming : rtuFraming;
    case 'ascii':
      return isTolerant ? tolerantAsciiFraming : asciiFraming;
  }
}
