import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { asciiFraming } from '../../../src/sources/modbus/frame/ascii-frame.ts';
import { mbapFraming } from '../../../src/sources/modbus/frame/mbap-frame.ts';
import type { ReadFunctionCode, ReadRequest } from '../../../src/sources/modbus/frame/read-pdu.ts';
import { rtuFraming } from '../../../src/sources/modbus/frame/rtu-frame.ts';
import { libmodbusHeader, LibmodbusServer } from '../../support/libmodbus-server.ts';
import { ModbusRawServer } from '../../support/modbus-raw-server.ts';
import { describeWith } from '../../support/programs.ts';

/*
 * The rule: andon never writes to a device, except the outputs that `outputs:` names (src/outputs). Four barriers: the types have function codes 1 to 4 only; frames are made in one
 * place; the one place that sends frames checks each (modbus-client.test.ts); and every device of the suite checks each
 * frame and fails its test.
 */
const root = resolve(import.meta.dirname, '../../../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

function filesWith(pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) => (pattern.test(text) ? [path] : [])).toSorted();
}

const WRITE_SINGLE_REGISTER = Buffer.from([0, 1, 0, 0, 0, 6, 1, 6, 0, 0, 0, 1]);

async function send(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
}

describe('a frame that is sent', () => {
  test('has a function code of the four that read, as far as types go', () => {
    expectTypeOf<ReadFunctionCode>().toEqualTypeOf<1 | 2 | 3 | 4>();
    expectTypeOf<ReadRequest['functionCode']>().toEqualTypeOf<ReadFunctionCode>();
  });

  test('encodes exactly the request, in every framing', () => {
    const requests = fc.record({
      unitId: fc.nat(255),
      functionCode: fc.constantFrom<ReadFunctionCode>(1, 2, 3, 4),
      address: fc.nat(65_535),
      count: fc.integer({ min: 1, max: 2000 }),
    });
    fc.assert(
      fc.property(requests, (request) => {
        const pdu = Buffer.alloc(6);
        pdu.writeUInt8(request.unitId, 0);
        pdu.writeUInt8(request.functionCode, 1);
        pdu.writeUInt16BE(request.address, 2);
        pdu.writeUInt16BE(request.count, 4);
        expect(mbapFraming.requestFrame(request)).toEqual(Buffer.concat([Buffer.of(0, 0, 0, 0, 0, 6), pdu]));
        expect(rtuFraming.requestFrame(request).subarray(0, -2)).toEqual(pdu);
        const ascii = asciiFraming.requestFrame(request).toString('latin1');
        expect(ascii.slice(1, -4)).toBe(pdu.toString('hex').toUpperCase());
        for (const framing of [mbapFraming, rtuFraming, asciiFraming])
          expect(framing.functionCodeOf(framing.requestFrame(request))).toBe(request.functionCode);
      }),
    );
  });

  test('is made in one place, leaves by one, and the library that can write is used to read only', () => {
    expect(filesWith(/\.requestFrame\(/)).toEqual(['sources/modbus/link/endpoint-link.ts']);
    expect(filesWith(/\btransport\.write\(/).filter((path) => path.startsWith('sources/modbus/'))).toEqual([
      'sources/modbus/link/modbus-client.ts',
    ]);
    expect(filesWith(/#(?:socket|port)\?\.write\(/)).toEqual([
      'sources/modbus/link/serial-transport.ts',
      'sources/modbus/link/tcp-transport.ts',
    ]);
    const scan = 'sources/modbus/probe/scan-connection.ts';
    const outside = (path: string) => !path.startsWith('outputs/');
    expect(filesWith(/from 'modbus-serial'/).filter(outside)).toEqual(['plant/modbus-device.ts', scan]);
    expect(filesWith(/lient\.(?:write|mask|custom)\w*\(/).filter(outside)).not.toContain(scan);
    expect(filesWith(/\.(?:writeCoil|writeRegister|maskWrite|customFunction|writeFC|writeCustomFC)\w*\(/)).toEqual([
      'outputs/modbus/modbus-writer.ts',
    ]);
    // Only the agent and the command that tests an output create one.
    expect(filesWith(/new OutputFactories\(/)).toEqual(['app/output-parts.ts', 'cli/output-command.ts']);
  });
});

describe('a write that came all the same', () => {
  test.each(['mbap', 'rtu'] as const)(
    'would fail the test of the device that received it, over %s',
    async (framing) => {
      const device = await ModbusRawServer.listen(0, framing);
      await send(device.port, framing === 'mbap' ? WRITE_SINGLE_REGISTER : WRITE_SINGLE_REGISTER.subarray(4));
      await expect(device[Symbol.asyncDispose]()).rejects.toThrow('The device received frames other than reads');
    },
  );
});

describeWith(['gcc', 'pkg-config', libmodbusHeader], 'a write to a device made with libmodbus', () => {
  test('would fail its test', async () => {
    const device = await LibmodbusServer.start();
    await send(device.port, WRITE_SINGLE_REGISTER);
    await expect(device[Symbol.asyncDispose]()).rejects.toThrow('libmodbus ended with 3');
  });
});
