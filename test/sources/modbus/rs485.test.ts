import { SerialPort } from 'serialport';
import { expect, test } from 'vitest';
import { SerialTransport } from '../../../src/sources/modbus/link/serial-transport.ts';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const endpoint = {
  medium: 'serial',
  framing: 'rtu',
  path: '/dev/ttyS9',
  baudRate: 9600,
  parity: 'even',
  stopBits: 1,
  dataBits: 8,
} as const;

/** A port that records what the transport does, in order. */
function recordingPort(done: string[]): typeof SerialPort {
  class Port extends SerialPort {
    override get isOpen(): boolean {
      return true;
    }
    override open(callback: (error: Error | null) => void): void {
      callback(null);
    }
    override flush(callback: (error: Error | null) => void): void {
      callback(null);
    }
    override set({ rts }: { rts?: boolean }, callback: (error: Error | null) => void): void {
      done.push(`rts ${rts === true ? 'high' : 'low'}`);
      callback(null);
    }
    override write(bytes: Buffer): boolean {
      done.push(`write ${bytes.toString('hex')}`);
      return true;
    }
    override drain(callback: (error: Error | null) => void): void {
      done.push('drained');
      callback(null);
    }
    override close(): void {
      done.push('closed');
    }
  }
  return Port as unknown as typeof SerialPort;
}

test('RTS switches the driver of an RS-485 line around each request', async () => {
  const clock = new FakeClock();
  const done: string[] = [];
  const settings = { rts: 'high', delayBeforeSendMs: 2, delayAfterSendMs: 3 } as const;
  const transport = new SerialTransport(endpoint, settings, clock, async () => ({ SerialPort: recordingPort(done) }));
  await new Promise<void>((resolve) => {
    transport.open({ onOpen: resolve, onBytes: () => true, onEnd: (reason) => done.push(reason) });
  });
  transport.write(Buffer.of(1, 3));
  expect(done).toEqual(['rts low', 'rts high']);
  await clock.advance(2);
  expect(done).toEqual(['rts low', 'rts high', 'write 0103', 'drained']);
  await clock.advance(3);
  expect(done).toEqual(['rts low', 'rts high', 'write 0103', 'drained', 'rts low']);
  transport.destroy();
});

test('only a serial port has RTS', () => {
  const tags = { a: { register: 'holding', address: 0, type: 'int16' } };
  const problems = (url: string) =>
    modbusKind.schema
      .safeParse({ type: 'modbus', url, rs485: { delayBeforeSend: '1ms' }, tags })
      .error?.issues.map(({ message }) => message);
  expect(problems('tcp://10.0.0.7')).toEqual(['only a serial port has RTS; remove it']);
  expect(problems('serial:///dev/ttyS0')).toBeUndefined();
});
