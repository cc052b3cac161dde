import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { ModbusSourceConfig } from '../../../src/sources/modbus/plan/modbus-config.ts';
import { modbusKind } from '../../../src/sources/modbus/modbus-kind.ts';

const pressure = { register: 'holding', address: 0, type: 'float32', unit: 'bar', range: [0, 16], deadband: 0.01 };
const running = { register: 'discrete', address: 3, type: 'bool' };
const source = { type: 'modbus', url: 'tcp://10.0.0.7:502', tags: { pressure, running } };

function parse(more: object = {}): ModbusSourceConfig {
  return modbusKind.schema.parse({ ...source, ...more });
}

/** `path: message` of every problem. */
function problems(more: object): readonly string[] {
  const result = modbusKind.schema.safeParse({ ...source, ...more });
  return result.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
}

function tagProblems(tag: object): readonly string[] {
  return problems({ tags: { tag: { ...pressure, ...tag } } });
}

describe('the configuration of a Modbus source', () => {
  test('needs a url and tags only', () => {
    expect(parse()).toMatchObject({
      unitId: 1,
      scanIntervalMs: 1000,
      timeoutMs: 1000,
      connectTimeoutMs: 3000,
      retries: 1,
      byteOrder: 'ABCD',
      maxGap: 16,
      maxRegistersPerRequest: 125,
      maxBitsPerRequest: 2000,
      reconnect: { firstMs: 100, maxMs: 30_000 },
    });
  });

  test.each([
    ['serial:///dev/ttyUSB0?baudRate=quick', 'baudRate is 300 to 4000000'],
    ['serial:///dev/ttyUSB0?parity=mark', 'parity is none, even or odd'],
    ['serial:///dev/ttyUSB0?stopBits=3', 'stopBits is 1 or 2'],
    ['serial:///dev/ttyUSB0?baudrate=9600', "unknown parameter 'baudrate'; expected baudRate, parity, stopBits"],
    ['serial://ttyUSB0', 'expected tcp://host:port'],
    ['http://10.0.0.7', 'expected tcp://host:port'],
    ['10.0.0.7:502', 'expected tcp://host:port'],
    ['tcp://', 'expected tcp://host:port'],
    ['tcp://10.0.0.7:502/unit/1', 'expected tcp://host:port'],
    ['tcp://10.0.0.7:70000', 'expected tcp://host:port'],
  ])('reports the problem of the url %s', (url, message) => {
    expect(problems({ url })).toEqual([expect.stringContaining(`url: ${message}`)]);
  });

  test.each([
    'tcp://plc.acme.example',
    'tcp://[::1]:1502',
    'tcp://127.0.0.1:502/',
    'tcp://gateway:502?baudRate=9600',
    'rtu+tcp://10.0.0.7:4001',
    'serial:///dev/ttyUSB0',
    'serial:///dev/ttyUSB0?baudRate=9600&parity=none&stopBits=2',
  ])('takes the url %s', (url) => {
    expect(problems({ url })).toEqual([]);
  });

  test('finds a tag that its device cannot have', () => {
    expect(tagProblems({ register: 'coil' })).toEqual(['tags.tag.type: expected bool for a coil']);
    expect(tagProblems({ address: 65_535 })).toEqual([
      'tags.tag.address: a float32 takes 2 registers, and 65535 is the last',
    ]);
    expect(tagProblems({ bit: 3 })).toEqual(['tags.tag.bit: only a bool in a holding or input register has a bit']);
    expect(tagProblems({ range: [16, 0] })).toEqual(['tags.tag.range: expected [smallest, largest]']);
    expect(tagProblems({ scale: 0 })).toEqual(['tags.tag.scale: must not be 0: every value would be the offset']);
  });

  test('finds a value that is wider than the longest read allowed', () => {
    expect(problems({ maxRegistersPerRequest: 1 })).toEqual([
      'tags.pressure.type: a float32 takes 2 registers, which are never split over two reads; maxRegistersPerRequest is 1',
    ]);
  });

  test.each([
    { unitId: 256 },
    { retries: -1 },
    { timeout: '0s' },
    { tags: {} },
    { scanIntervall: '1s' },
    { reconnect: { first: '1m' } },
  ])('refuses %o', (more) => {
    expect(problems(more)).not.toEqual([]);
  });

  test('has a description for every field of its JSON Schema', () => {
    const schema = z.toJSONSchema(modbusKind.schema, { io: 'input' });
    expect(fieldsWithoutDescription(schema, '')).toEqual(['.type']);
  });
});

describe('the tags of a Modbus source', () => {
  test('are defined with unit, range and deadband', () => {
    expect(modbusKind.tags(parse())).toEqual([
      { name: 'pressure', unit: 'bar', range: [0, 16], deadband: 0.01 },
      { name: 'running', unit: '', range: undefined, deadband: 0 },
    ]);
  });
});

describe('the plan of a Modbus source', () => {
  test('shows each scan class with its reads, shortest interval first', () => {
    const plan = modbusKind.plan(
      'plc-1',
      parse({ unitId: 5, tags: { pressure, running: { ...running, scanInterval: '100ms' } } }),
    );
    expect(plan).toEqual([
      {
        source: 'plc-1',
        unitId: 5,
        scanIntervalMs: 100,
        tags: 1,
        requests: [{ functionCode: 2, address: 3, count: 1, tags: ['running'] }],
        busTimeMs: 2,
        advice: undefined,
        notes: [],
      },
      {
        source: 'plc-1',
        unitId: 5,
        scanIntervalMs: 1000,
        tags: 1,
        requests: [{ functionCode: 3, address: 0, count: 2, tags: ['pressure'] }],
        busTimeMs: 2,
        advice: undefined,
        notes: [],
      },
    ]);
  });

  test('advises what to change if a scan interval cannot be met', () => {
    const tags = spread(10);
    const [plan] = modbusKind.plan('plc-1', parse({ scanInterval: '10ms', tags }));
    expect(plan?.advice).toBe(
      '10 requests need about 20 ms, more than the scan interval of 10ms: requestsInFlight: 2, if the device answers as many (andon probe --in-flight finds out); or t0, t1, t2, t3, t4 and 5 more take a request each: scan them less often, or move them next to the others in the device; or scan every 20ms instead',
    );
  });

  test('counts the round trip that requests in flight share', () => {
    const [plan] = modbusKind.plan('plc-1', parse({ scanInterval: '10ms', requestsInFlight: 5, tags: spread(10) }));
    expect(plan).toMatchObject({ busTimeMs: 4, advice: undefined });
  });

  test('names the gap that would join the reads of a scan that cannot be met', () => {
    const tags = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`t${index}`, { ...pressure, address: index * 20 }]),
    );
    const [plan] = modbusKind.plan('plc-1', parse({ scanInterval: '10ms', tags }));
    expect(plan?.advice).toContain('a larger maxGap (now 16) joins reads down to 2, about 4 ms');
  });

  test('estimates a serial line from its bytes, its silences and the response time of the device', () => {
    const url = 'serial:///dev/ttyUSB0?baudRate=9600&parity=even';
    const [plan] = modbusKind.plan('line', parse({ url, tags: { pressure } }));
    // 8 bytes there and 9 back of 11 bits each, two silences of 3.5 characters, 5 ms in the device.
    expect(plan?.busTimeMs).toBeCloseTo(((8 + 9 + 7) * 11 * 1000) / 9600 + 5, 0);
    expect(plan?.advice).toBeUndefined();
    const [fast] = modbusKind.plan('line', parse({ url, tags: { pressure }, scanInterval: '20ms' }));
    expect(fast?.advice).toContain('more than the scan interval of 20ms: scan every 40ms instead');
  });

  test('includes the pause, and the line behind a gateway if its baud rate is known', () => {
    const busTimeMs = (more: object) =>
      modbusKind.plan('gateway', parse({ tags: { pressure }, ...more }))[0]?.busTimeMs;
    expect(busTimeMs({ pauseBetweenRequests: '50ms' })).toBe(52);
    expect(busTimeMs({ url: 'rtu+tcp://gateway:502' })).toBe(4);
    expect(busTimeMs({ url: 'tcp://gateway:502?baudRate=9600' })).toBeGreaterThan(25);
  });

  test('reports a link that cannot carry all scans together', () => {
    const tags = { ...spread(8), slow: { ...pressure, address: 50_000, scanInterval: '3ms' } };
    const plan = modbusKind.plan('plc-1', parse({ scanInterval: '20ms', tags }));
    expect(plan.map(({ advice }) => advice)).toEqual([
      expect.stringContaining('All scans of 10.0.0.7:502 together need 147 % of its time'),
      expect.stringContaining('All scans of 10.0.0.7:502 together need 147 % of its time'),
    ]);
  });
});

function spread(count: number): object {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`t${index}`, { ...pressure, address: index * 200 }]),
  );
}

function fieldsWithoutDescription(schema: unknown, path: string): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const properties: object =
    'properties' in schema && typeof schema.properties === 'object' ? (schema.properties ?? {}) : {};
  const fields: readonly (readonly [string, unknown])[] = Object.entries(properties);
  const undescribed = fields.filter(
    ([, field]) => typeof field !== 'object' || field === null || !('description' in field),
  );
  const below = fields.flatMap(([name, field]) => fieldsWithoutDescription(field, `${path}.${name}`));
  const items =
    'additionalProperties' in schema ? fieldsWithoutDescription(schema.additionalProperties, `${path}.*`) : [];
  return [...undescribed.map(([name]) => `${path}.${name}`), ...below, ...items];
}
