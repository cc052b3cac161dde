import { describe, expect, expectTypeOf, test } from 'vitest';
import * as z from 'zod';
import { configSchema } from '../../src/config/config-schema.ts';
import { byteSize, configObject, duration } from '../../src/platform/config-fields.ts';

describe('a parsed configuration object', () => {
  const schema = configObject({
    name: z.string(),
    timeout: duration('Longest wait', { minMs: 10 }).prefault('1s'),
    retry: duration('Wait').optional(),
    step: z.union([z.literal('scan'), duration('Spacing')]),
    maxSize: byteSize('Largest file').prefault('2kB'),
    queueBytesMax: byteSize('Bytes that may wait').optional(),
  });

  test('names the unit of each duration and size', () => {
    const parsed = schema.parse({ name: 'plc', step: '250ms', queueBytesMax: '1MB' });
    expect(parsed).toEqual({ name: 'plc', timeoutMs: 1000, stepMs: 250, maxSizeBytes: 2000, queueBytesMax: 1e6 });
    expectTypeOf(parsed).toEqualTypeOf<{
      name: string;
      timeoutMs: number;
      retryMs?: number | undefined;
      stepMs: 'scan' | number;
      maxSizeBytes: number;
      queueBytesMax?: number | undefined;
    }>();
  });

  test('keeps the key of the file in its problems and in its JSON Schema', () => {
    const { error } = schema.safeParse({ name: 'plc', step: 'scan', timeout: '1ms', timeoutMs: 1000 });
    expect(error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
      'timeout: must be 10 ms or more',
      ': Unrecognized key: "timeoutMs"',
    ]);
    expect(Object.keys(z.toJSONSchema(schema, { io: 'input' }).properties ?? {})).toEqual([
      'name',
      'timeout',
      'retry',
      'step',
      'maxSize',
      'queueBytesMax',
    ]);
  });

  test('is checked by rules over several fields even if one field is wrong', () => {
    const checked = schema.refine(({ timeoutMs, retryMs = 0 }) => retryMs >= timeoutMs, { error: 'retry too short' });
    const { error } = checked.safeParse({ name: 'plc', step: 'scan', timeout: '9ms', retry: '5ms' });
    expect(error?.issues.map(({ message }) => message)).toEqual(['must be 10 ms or more', 'retry too short']);
  });
});

test('no section of the configuration has a duration or a size without its unit', () => {
  const config = configSchema.parse({ agent: { id: 'edge-01' } });
  expect(config.models).toMatchObject({ deadlineMs: 1000, maxMemoryBytes: 1e9, quarantine: { periodMs: 600_000 } });
  expect(config.outbox).toMatchObject({ retentionMs: 7 * 86_400_000, maxSizeBytes: 2e9, queueBytesMax: 32e6 });
});
