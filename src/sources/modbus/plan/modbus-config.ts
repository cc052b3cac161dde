import * as z from 'zod';
import { configObject, duration } from '../../../platform/config-fields.ts';
import { DURATION_MS_MAX } from '../frame/modbus-limits.ts';
import { modbusTagSchema } from './modbus-tag-config.ts';
import { modbusUrlProblem } from '../frame/modbus-url.ts';
import { byteOrders } from '../frame/register-decode.ts';
import { locationProblems } from './tag-location.ts';

const byteOrder = z
  .enum(byteOrders)
  .describe(
    'Order of the bytes over registers, for every width: ABCD high word first, CDAB low word first, BADC and DCBA with swapped bytes',
  );

/** A Modbus device or gateway, and the tags read from one unit behind it. */
export const modbusSourceSchema = configObject({
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
  reconnect: configObject({
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
  addressBase: z
    .union([z.literal(0), z.literal(1)])
    .default(0)
    .describe('What the first address is in the tags below: 0 as on the wire, 1 as in many manuals'),
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
    .record(z.string().min(1), modbusTagSchema)
    .refine((tags) => Object.keys(tags).length > 0, { error: 'a source needs at least one tag' })
    .describe('What is read, by tag name'),
}).superRefine((config, context) => {
  for (const [name, tag] of Object.entries(config.tags))
    for (const { path, message } of locationProblems(tag, config))
      context.addIssue({ code: 'custom', path: ['tags', name, path], message });
  if (config.reconnect.firstMs > config.reconnect.maxMs)
    context.addIssue({ code: 'custom', path: ['reconnect', 'max'], message: 'must not be less than first' });
});

/** After parsing: durations are milliseconds. */
export type ModbusSourceConfig = z.infer<typeof modbusSourceSchema>;
