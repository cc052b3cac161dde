import * as z from 'zod';
import { configObject, duration } from '../../platform/config-fields.ts';
import { modbusUrlProblem } from '../../protocols/modbus/modbus-url.ts';
import { outputFields } from '../output-fields.ts';

const address = z.int().min(0).max(65_535);
const registerValue = z.int().min(0).max(65_535);
const onOff = z.enum(['on', 'off']);

const writeSchema = configObject({
  coil: address.optional().describe('Coil that is written, from 0 as on the wire'),
  register: address.optional().describe('Holding register that is written, from 0 as on the wire'),
  multiple: z.boolean().default(false).describe('true: function code 15 or 16, for devices without 5 and 6'),
}).superRefine(({ coil, register }, context) => {
  if ((coil === undefined) === (register === undefined))
    context.addIssue({ code: 'custom', message: 'expected either coil or register: an output has one fixed address' });
});

/** `outputs.<id>` of type modbus. */
export const modbusOutputSchema = configObject({
  type: z.literal('modbus'),
  source: z
    .string()
    .min(1)
    .optional()
    .describe('Source whose device is written: its url and its unitId. Writes have a connection of their own'),
  url: z
    .string()
    .superRefine((url, context) => {
      const problem = modbusUrlProblem(url) ?? linkProblem(url);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    })
    .optional()
    .describe(
      'Address of the device, in place of source: tcp://host:port, rtu+tcp://host:port or serial:///dev/ttyUSB0',
    ),
  unitId: z.int().min(1).max(255).optional().describe('Modbus unit id. Default: the unit id of source, or 1'),
  write: writeSchema.describe('The address that is written'),
  values: configObject({
    on: registerValue.default(1).describe('Value while it is on'),
    off: registerValue.default(0).describe('Value while it is off'),
  })
    .prefault({})
    .describe('Values that are written; of a coil 0 and 1'),
  safe: z
    .union([onOff, registerValue], { error: 'expected on, off or a whole number from 0 to 65535' })
    .describe('Value at a stop, and while andon is blind, starts, or cannot store records'),
  readBack: duration('Reads the address this long after a write, and compares. Default: no read', {
    maxMs: 60_000,
  }).optional(),
  closeAfterWrite: z
    .boolean()
    .default(false)
    .describe('true: the connection is closed after each write, for devices that allow few connections'),
  ...outputFields,
}).superRefine((config, context) => {
  const issue = (path: readonly string[], message: string) =>
    context.addIssue({ code: 'custom', path: [...path], message });
  if ((config.source === undefined) === (config.url === undefined))
    issue([], 'expected either source or url: an output has one device');
  const { coil } = config.write;
  const { on, off } = config.values;
  if (on === off) issue(['values', 'on'], `on and off are both ${on}: the output would never change`);
  if (coil === undefined) return;
  for (const [key, value] of Object.entries(config.values))
    if (value > 1) issue(['values', key], `a coil is 0 or 1, not ${value}`);
  if (typeof config.safe === 'number' && config.safe > 1) issue(['safe'], `a coil is 0 or 1, not ${config.safe}`);
  if (config.on.heartbeatMs !== undefined) issue(['on', 'heartbeat'], 'a heartbeat counts, so it needs a register');
});

/** Returns why outputs cannot use an address; undefined if they can. */
export function linkProblem(url: string): string | undefined {
  const protocol = URL.parse(url)?.protocol;
  if (protocol === 'tcps:') return 'outputs cannot use Modbus/TCP Security (tcps)';
  return protocol?.startsWith('ascii+') === true ? 'outputs cannot use ASCII frames' : undefined;
}

/** Parsed configuration of a Modbus output. `device` is the device of the source or of `url`. */
export type ModbusOutputConfig = z.infer<typeof modbusOutputSchema> & { readonly heldBecause?: string | undefined };
