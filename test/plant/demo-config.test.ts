import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import type { PumpReading } from '../../src/plant/pump-plant.ts';
import { pumpRegisters } from '../../src/plant/pump-registers.ts';
import { modbusSourceSchema } from '../../src/sources/modbus/plan/modbus-config.ts';
import { registerDecoder } from '../../src/sources/modbus/frame/register-decode.ts';
import { mqttSourceSchema } from '../../src/sources/mqtt/mqtt-source-config.ts';

const root = resolve(import.meta.dirname, '../..');
const watchSchema = z.object({ model: z.string(), tags: z.array(z.string()), window: z.object({ step: z.string() }) });
const config = z
  .object({
    sources: z.object({ 'plc-1': modbusSourceSchema, cell: mqttSourceSchema }),
    watches: z.record(z.string(), watchSchema),
  })
  .parse(parse(readFileSync(join(root, 'config/demo.yaml'), 'utf8')));

const reading: PumpReading = {
  phase: 'normal',
  vibrationG: 0.8,
  currentA: 9.51,
  pressureBar: 4.25,
  flowM3h: 19.87,
  temperatureC: 41.99,
  running: true,
  fillWeightG: 499.5,
};

describe('the configuration of the demo', () => {
  test.each([
    ['pump-1.pressure', reading.pressureBar],
    ['pump-1.current', reading.currentA],
    ['pump-1.flow', reading.flowM3h],
    ['pump-1.temperature', reading.temperatureC],
    ['filler-1.fill-weight', reading.fillWeightG],
    ['pump-1.running', 1],
    ['pump-1.start-command', 1],
  ])('reads %s at its address in the plant', (name, value) => {
    const tag = config.sources['plc-1'].tags[name];
    const image = pumpRegisters(reading);
    const raw = () => {
      if (tag === undefined || tag.type === 'string' || tag.type === 'bytes') return Number.NaN;
      if (tag.register === 'coil') return image.coils[tag.address];
      if (tag.register === 'discrete') return image.discretes[tag.address];
      const registers = tag.register === 'holding' ? image.holding : image.input;
      const bytes = Buffer.alloc(registers.length * 2);
      registers.forEach((register, address) => bytes.writeUInt16BE(register, address * 2));
      return registerDecoder(tag.type, 'ABCD')(bytes, tag.address * 2) * tag.scale + tag.offset;
    };
    expect(raw()).toBeCloseTo(value, 6);
  });

  test.each(Object.entries(config.watches))('binds %s to its model column by column', (_, watch) => {
    const path = join(root, 'models', watch.model, '1/model.yaml');
    const manifest = modelManifestSchema.parse(parse(readFileSync(path, 'utf8')));
    const tags = { ...config.sources['plc-1'].tags, ...config.sources.cell.tags };
    expect(watch.tags).toEqual(manifest.tags.map(({ name }) => name));
    expect(watch.tags.map((tag) => tags[tag]?.unit)).toEqual(manifest.tags.map(({ unit }) => unit));
    expect(watch.window.step).toBe(`${manifest.window.stepMs}ms`);
  });
});
