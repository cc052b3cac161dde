import { beforeEach, describe, expect, test } from 'vitest';
import { ModbusClient } from '../../../src/sources/modbus/link/modbus-client.ts';
import type { PreparedRead } from '../../../src/sources/modbus/link/modbus-link.ts';
import { ModbusMeters } from '../../../src/sources/modbus/link/modbus-metrics.ts';
import type { ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { rtuFraming } from '../../../src/sources/modbus/frame/rtu-frame.ts';
import type { TransportListener } from '../../../src/sources/modbus/link/transport.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { withChecksum } from '../../support/modbus-raw-server.ts';
import { testDeps } from '../../support/test-deps.ts';

const QUIET_MS = 150;
const PAUSE_MS = 1.75;

/** A simulated serial line: keeps what is written; the test delivers what arrives. */
class Line {
  readonly clock: FakeClock;
  readonly happened: string[] = [];
  readonly client: ModbusClient;
  #listener: TransportListener | undefined;

  constructor(clock = new FakeClock()) {
    this.clock = clock;
    const tell = (what: string) => void this.happened.push(what);
    this.client = new ModbusClient(
      {
        transport: {
          open: (listener) => (this.#listener = listener),
          write: () => tell('asked'),
          discardInput: (discarded) => discarded(),
          destroy: () => tell('closed'),
        },
        framing: rtuFraming,
        name: 'line',
        connectTimeoutMs: 1000,
        clock,
        nextTransactionId: () => 0,
        pauseMs: PAUSE_MS,
        wireMs: () => 0,
        recovery: 'quiet',
        quietMs: QUIET_MS,
        startQuietMs: QUIET_MS,
      },
      {
        onConnected: () => tell('connected'),
        onReady: () => tell('ready'),
        onAnswer: () => tell('answered'),
        onException: () => tell('refused'),
        onUnsolicitedFrame: () => undefined,
        onFault: ({ code }) => tell(code),
        onEnd: ({ code }) => tell(`ended: ${code}`),
      },
    );
  }

  opened(): void {
    this.#listener?.onOpen();
  }

  arrives(bytes: Buffer): void {
    this.#listener?.onBytes(bytes, bytes.length);
  }
}

const request: ReadRequest = { unitId: 1, functionCode: 3, address: 0, count: 1 };
const read: PreparedRead = {
  user: { meters: new ModbusMeters(testDeps().metrics, 'plc'), onChange: () => undefined, spareRegisters: 0 },
  request,
  timeoutMs: 100,
  listener: { answered: () => undefined, refused: () => undefined, failed: () => undefined },
  frame: rtuFraming.requestFrame(request),
};
const answer = withChecksum(Buffer.of(1, 3, 2, 0, 7));

describe('a serial port', () => {
  let line: Line;

  beforeEach(() => {
    line = new Line();
    line.client.connect();
  });

  test('that receives noise while it opens is connected, and ready after a silence', async () => {
    line.arrives(Buffer.of(0, 0xff));
    line.opened();
    expect(line.happened).toEqual(['connected']);
    await line.clock.advance(QUIET_MS);
    expect(line.happened).toEqual(['connected', 'ready']);
  });

  test('that cannot be opened in time is given up, however much noise there is', async () => {
    for (let ms = 0; ms < 1000; ms += 50) {
      line.arrives(Buffer.of(0xff));
      await line.clock.advance(50);
    }
    expect(line.happened).toEqual(['closed', 'ended: modbus-connect-failed']);
  });

  test('that is never silent is closed and opened again', async () => {
    line.opened();
    for (let ms = 0; ms < 3100; ms += 50) {
      line.arrives(Buffer.of(0xff));
      await line.clock.advance(50);
    }
    expect(line.happened).toEqual(['connected', 'closed', 'ended: modbus-garbled-answer']);
  });
});

test('between an answer and the next request lies the whole pause, though timers count whole milliseconds', async () => {
  const line = new Line(new HastyClock());
  line.client.connect();
  line.opened();
  await line.clock.advance(QUIET_MS + 5);
  line.client.send([read]);
  line.arrives(answer);
  const answeredAtMs = line.clock.monotonicMs();
  let readyAtMs = Infinity;
  for (let steps = 0; steps < 50; steps += 1) {
    await line.clock.advance(0.1);
    if (line.client.idle) readyAtMs = Math.min(readyAtMs, line.clock.monotonicMs());
  }
  expect(readyAtMs - answeredAtMs).toBeGreaterThanOrEqual(PAUSE_MS);
  expect(readyAtMs - answeredAtMs).toBeLessThan(PAUSE_MS + 1.5);
});

test('only read frames are sent, also if a caller supplies another frame', async () => {
  const line = new Line();
  line.client.connect();
  line.opened();
  await line.clock.advance(QUIET_MS);
  const { happened } = line;
  for (const functionCode of [0, 5, 6, 15, 16, 22, 23, 0x83]) {
    const frame = Buffer.from(read.frame);
    frame[1] = functionCode;
    expect(() => line.client.send([{ ...read, frame }])).toThrow('Only reads are ever sent');
  }
  expect(happened).not.toContain('asked');
});

/** As Node's: a delay loses its fraction, and as much as a millisecond more for the loop's own idea of the time. */
class HastyClock extends FakeClock {
  override setTimer(callback: () => void, delayMs: number): ReturnType<FakeClock['setTimer']> {
    return super.setTimer(callback, Math.max(0.5, Math.trunc(delayMs) - 0.5));
  }
}
