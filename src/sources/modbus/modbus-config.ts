import * as z from 'zod';
import { duration, stuckFields } from '../../platform/config-fields.ts';
import { modbusUrlProblem } from './modbus-url.ts';
import { byteOrders, registersOf, valueTypes } from './register-decode.ts';

/** Longest interval and deadline: a day; beyond that, it is a mistake in the unit. */
const DURATION_MS_MAX = 86_400_000;
const ADDRESSES = 65_536;

const byteOrder = z
  .enum(byteOrders)
  .describe(
    'Order of the bytes over registers, for every width: ABCD high word first, CDAB low word first, BADC and DCBA with swapped bytes',
  );

const tagSchema = z
  .strictObject({
    register: z.enum(['holding', 'input', 'coil', 'discrete']).describe('Which of the four address spaces'),
    address: z
      .int()
      .min(0)
      .max(ADDRESSES - 1)
      .describe('Address as on the wire, from 0; a manual that says 40001 means holding register 0'),
    type: z.enum(valueTypes).describe('How the registers are to be understood; bool for coils and discrete inputs'),
    bit: z
      .int()
      .min(0)
      .max(15)
      .optional()
      .describe(
        'For a bool in a register: which bit, 0 is the least significant; without it any register that is not 0 is true',
      ),
    byteOrder: byteOrder.optional(),
    scale: z.number().default(1).describe('The raw value is multiplied by this'),
    offset: z.number().default(0).describe('Added after scaling, in engineering units'),
    unit: z.string().default('').describe('Engineering unit, as shown to people'),
    range: z
      .tuple([z.number(), z.number()])
      .optional()
      .describe('Smallest and largest believable value in engineering units; outside is uncertain'),
    deadband: z.number().min(0).default(0).describe('Smallest change in engineering units that is reported'),
    ...stuckFields,
    scanInterval: duration("Overrides the source's scanInterval for this tag; 0s scans without a pause", {
      maxMs: DURATION_MS_MAX,
    }).optional(),
  })
  .superRefine((tag, context) => {
    const isBit = tag.register === 'coil' || tag.register === 'discrete';
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (isBit && tag.type !== 'bool') refuse('type', `a ${tag.register} is a bool, not a ${tag.type}`);
    if (tag.bit !== undefined && (isBit || tag.type !== 'bool'))
      refuse('bit', 'only a bool in a holding or input register has a bit');
    if (tag.address + registersOf(tag.type) > ADDRESSES)
      refuse('address', `a ${tag.type} takes ${registersOf(tag.type)} registers, and ${ADDRESSES - 1} is the last`);
    if (tag.range !== undefined && tag.range[0] > tag.range[1]) refuse('range', 'the smallest value comes first');
    if (tag.scale === 0) refuse('scale', 'must not be 0: every value would be the offset');
  });

/** A Modbus device or gateway, and the tags read from one unit behind it. */
export const modbusSourceSchema = z
  .strictObject({
    type: z.literal('modbus'),
    url: z
      .string()
      .superRefine((url, context) => {
        const problem = modbusUrlProblem(url);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .describe(
        'Where the device is: tcp://host:port (Modbus TCP), rtu+tcp://host:port (RTU frames over TCP, as serial servers pass them on) or serial:///dev/ttyUSB0?baudRate=19200&parity=even&stopBits=1 (RTU). Sources that name the same end share one connection, with one request in flight',
      ),
    unitId: z.int().min(0).max(255).default(1).describe('Who is meant behind the connection, 0–255'),
    scanInterval: duration('Time between scans; 0s scans without a pause', { maxMs: DURATION_MS_MAX }).prefault('1s'),
    timeout: duration('Longest wait for an answer', { minMs: 1, maxMs: DURATION_MS_MAX }).prefault('1s'),
    connectTimeout: duration('Longest wait for a connection', { minMs: 1, maxMs: DURATION_MS_MAX }).prefault('3s'),
    pauseBetweenRequests: duration(
      'Silence on the link between an answer and the next request, for devices that need it; a serial line keeps its 3.5 characters by itself',
      { maxMs: 60_000 },
    ).prefault('0s'),
    retries: z
      .int()
      .min(0)
      .max(10)
      .default(1)
      .describe('How often a read that got no proper answer is repeated within its scan'),
    reconnect: z
      .strictObject({
        first: duration('Longest first wait before a new connection', { minMs: 1, maxMs: DURATION_MS_MAX }).prefault(
          '100ms',
        ),
        max: duration('Longest wait; waits double up to it, each drawn from its upper half', {
          minMs: 1,
          maxMs: DURATION_MS_MAX,
        }).prefault('30s'),
      })
      .prefault({})
      .describe('Waits between attempts to connect'),
    byteOrder: byteOrder.default('ABCD'),
    maxGap: z
      .int()
      .min(0)
      .max(125)
      .default(16)
      .describe('Registers read and thrown away to join two reads; 16 times as many bits'),
    maxRegistersPerRequest: z
      .int()
      .min(1)
      .max(125)
      .default(125)
      .describe('Most registers that the device gives in one answer'),
    maxBitsPerRequest: z
      .int()
      .min(1)
      .max(2000)
      .default(2000)
      .describe('Most coils or discrete inputs that the device gives in one answer'),
    tags: z
      .record(z.string().min(1), tagSchema)
      .refine((tags) => Object.keys(tags).length > 0, { error: 'a source needs at least one tag' })
      .describe('What is read, by tag name'),
  })
  .superRefine((config, context) => {
    for (const [name, tag] of Object.entries(config.tags)) {
      if (registersOf(tag.type) <= config.maxRegistersPerRequest) continue;
      const message = `a ${tag.type} takes ${registersOf(tag.type)} registers, which are never split over two reads; maxRegistersPerRequest is ${config.maxRegistersPerRequest}`;
      context.addIssue({ code: 'custom', path: ['tags', name, 'type'], message });
    }
    if (config.reconnect.first > config.reconnect.max)
      context.addIssue({ code: 'custom', path: ['reconnect', 'max'], message: 'must not be less than first' });
  });

/** After parsing: durations are milliseconds. */
export type ModbusSourceConfig = z.infer<typeof modbusSourceSchema>;
export type ModbusTagConfig = z.infer<typeof tagSchema>;
