import * as z from 'zod';
import { configObject, duration } from '../../../platform/config-fields.ts';
import { tlsSchema } from '../../../platform/tls-files.ts';
import { DURATION_MS_MAX } from '../frame/modbus-limits.ts';
import { invalidField, modbusTagSchema, registerBitsField } from './modbus-tag-config.ts';
import { modbusUrlProblem } from '../../../protocols/modbus/modbus-url.ts';
import { byteOrders } from '../frame/register-decode.ts';
import { sourceFields, tagMap } from '../../tag-fields.ts';
import { locationProblems } from './tag-location.ts';

const byteOrder = z
  .enum(byteOrders)
  .describe(
    'Byte order of values of any width. ABCD: high word first. CDAB: low word first. BADC and DCBA: the same with the bytes of each word swapped',
  );

/** Most requests in flight: more brings nothing, because a device works on one at a time. */
export const REQUESTS_IN_FLIGHT_MAX = 16;

/** Source of type modbus: one unit of a Modbus device or gateway, and its tags. */
export const modbusSourceSchema = configObject({
  type: z.literal('modbus'),
  url: z
    .string()
    .superRefine((url, context) => {
      const problem = modbusUrlProblem(url);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .describe(
      'Address of the device: tcp://host:port (Modbus TCP), tcps://host:802 (Modbus/TCP Security), rtu+tcp://host:port and ascii+tcp://host:port (RTU and ASCII frames over TCP, for serial device servers), serial:///dev/ttyUSB0?baudRate=19200&parity=even&stopBits=1 (RTU) or ascii+serial:///dev/ttyUSB0?dataBits=7 (ASCII). Sources with the same address share one connection, with the requests of one source in flight',
    ),
  tls: tlsSchema('the device').optional().describe('Certificates for tcps'),
  unitId: z.int().min(0).max(255).default(1).describe('Modbus unit id (slave address), 0–255'),
  scanInterval: duration('Interval between scans; 0s scans without a pause', { maxMs: DURATION_MS_MAX }).prefault('1s'),
  timeout: duration('Longest wait for a response', { minMs: 1, maxMs: DURATION_MS_MAX }).prefault('1s'),
  connectTimeout: duration('Longest wait for a connection', { minMs: 1, maxMs: DURATION_MS_MAX }).prefault('3s'),
  pauseBetweenRequests: duration(
    'Silence between a response and the next request, for devices that need it. A serial line always keeps the 3.5 characters of the standard',
    { maxMs: 60_000 },
  ).prefault('0s'),
  pauseAfterConnect: duration(
    'Silence between a new connection and the first request, for gateways that drop early requests',
    { maxMs: 60_000 },
  ).prefault('0s'),
  closeAfterScan: z
    .boolean()
    .default(false)
    .describe('true: the connection is closed after each scan, for devices that allow few connections'),
  rs485: configObject({
    rts: z.enum(['high', 'low']).default('high').describe('Level of RTS while andon sends'),
    delayBeforeSend: duration('Wait between switching RTS and the first byte', { maxMs: 1000 }).prefault('0s'),
    delayAfterSend: duration('Wait between the last byte and switching RTS back', { maxMs: 1000 }).prefault('0s'),
  })
    .optional()
    .describe('Serial ports: RTS switches the RS-485 driver, for adapters that do not switch it themselves'),
  framing: z
    .enum(['tolerant', 'strict'])
    .default('tolerant')
    .describe(
      'RTU and ASCII: tolerant ignores up to 32 stray bytes before and after a frame with a valid checksum. strict: every stray byte is a fault',
    ),
  transactionId: z
    .enum(['check', 'ignore'])
    .default('check')
    .describe(
      'Modbus TCP: ignore accepts responses with any transaction id, for gateways that answer 0 or swapped bytes. One request is in flight, and each timeout or mismatch closes the connection',
    ),
  requestsInFlight: z
    .int()
    .min(1)
    .max(REQUESTS_IN_FLIGHT_MAX)
    .default(1)
    .describe(
      'Modbus TCP: most requests that are sent before the first of them is answered. More than 1 is faster over a slow network, if the device answers each: andon probe --in-flight finds out. A fault discards all of them, and their registers are read again one request at a time',
    ),
  retries: z.int().min(0).max(10).default(1).describe('Number of times that a failed read is repeated within its scan'),
  reconnect: configObject({
    first: duration('Longest wait before the first reconnection attempt', {
      minMs: 1,
      maxMs: DURATION_MS_MAX,
    }).prefault('100ms'),
    max: duration('Longest wait between attempts. Waits double up to it, each with a random part of up to one half', {
      minMs: 1,
      maxMs: DURATION_MS_MAX,
    }).prefault('30s'),
  })
    .prefault({})
    .describe('Waits between reconnection attempts'),
  byteOrder: byteOrder.default('ABCD'),
  addressBase: z
    .union([z.literal(0), z.literal(1)])
    .default(0)
    .describe('Number of the first address, for the addresses of the tags: 0 as on the wire, 1 as in many manuals'),
  registerBits: registerBitsField.default(16),
  invalid: invalidField,
  ...sourceFields,
  maxGap: z
    .int()
    .min(0)
    .max(125)
    .default(16)
    .describe('Most unused registers that are read to merge two requests into one; 16 times as many for bits'),
  maxRegistersPerRequest: z
    .int()
    .min(1)
    .max(125)
    .default(125)
    .describe('Most registers that the device returns in one response'),
  maxBitsPerRequest: z
    .int()
    .min(1)
    .max(2000)
    .default(2000)
    .describe('Most coils or discrete inputs that the device returns in one response'),
  tags: tagMap(modbusTagSchema, 1),
}).superRefine((config, context) => {
  for (const [name, tag] of Object.entries(config.tags))
    for (const { path, message } of locationProblems(tag, config))
      context.addIssue({ code: 'custom', path: ['tags', name, path], message });
  if (config.tls !== undefined && URL.parse(config.url)?.protocol !== 'tcps:')
    context.addIssue({
      code: 'custom',
      path: ['tls'],
      message: 'only tcps:// uses certificates; change the url or remove it',
    });
  if (config.rs485 !== undefined && !URL.parse(config.url)?.protocol.endsWith('serial:'))
    context.addIssue({ code: 'custom', path: ['rs485'], message: 'only a serial port has RTS; remove it' });
  const obstacle = groupObstacle(config);
  if (config.requestsInFlight > 1 && obstacle !== undefined)
    context.addIssue({
      code: 'custom',
      path: ['requestsInFlight'],
      message: `must be 1 ${obstacle}: responses are told apart by their transaction ids only`,
    });
  if (config.reconnect.firstMs > config.reconnect.maxMs)
    context.addIssue({ code: 'custom', path: ['reconnect', 'max'], message: 'must not be less than first' });
});

/** Returns what rules out more than one request in flight. */
export function groupObstacle(
  config: Pick<ModbusSourceConfig, 'url' | 'transactionId' | 'pauseBetweenRequestsMs'>,
): string | undefined {
  const protocol = URL.parse(config.url)?.protocol;
  if (protocol !== 'tcp:' && protocol !== 'tcps:') return 'for RTU and ASCII, which have no transaction ids';
  if (config.transactionId === 'ignore') return 'with transactionId: ignore';
  if (config.pauseBetweenRequestsMs > 0) return 'with pauseBetweenRequests';
  return undefined;
}

/** Parsed configuration of a Modbus source. */
export type ModbusSourceConfig = z.infer<typeof modbusSourceSchema>;
