import { describe, expect, test } from 'vitest';
import { isBeyond } from '../../src/domain/alarm/limit-rule.ts';
import { BAD } from '../../src/domain/sample/quality.ts';
import { limitsOf, limitsSchema } from '../../src/pipeline/limit-config.ts';
import { scan, startLine } from './fakes/start-line.ts';

type Line = Awaited<ReturnType<typeof startLine>>;

/** A second of a line whose tag 'current' has this value; undefined is a bad value. */
async function second(line: Line, current: number | undefined): Promise<void> {
  const batch = scan(line.clock.nowMs(), [1, current ?? 0, 1]);
  if (current === undefined) batch.qualities[1] = BAD;
  line.pipeline.accept(batch);
  await line.clock.advance(1000);
}

const lineWith = (limits: object) => startLine({ watches: {}, limits: { current: limits } });

const changes = (line: Line) =>
  line.store
    .bodies('alarm')
    .map(({ alarm, state }) => `${String(alarm).replace('limit/current/', '')} ${String(state)}`);

describe('a limit of a tag', () => {
  test('raises an alarm with the value, the limit and the unit, and clears it', async () => {
    const line = await lineWith({ high: { at: 12, priority: 'critical' } });
    for (const current of [11, 12, 12.5, 11]) await second(line, current);
    expect(line.store.bodies('alarm')).toMatchObject([
      {
        alarm: 'limit/current/high',
        watch: null,
        state: 'unacknowledged',
        priority: 'critical',
        cause: 'value-above-limit',
        message: 'current is at 12.5 A, above its limit high of 12 A.',
        parameters: { tag: 'current', level: 'high', value: 12.5, limit: 12, unit: 'A' },
        score: null,
      },
      {
        state: 'returned-unacknowledged',
        change: 'returned-to-normal',
        // Until an operator has seen it, the cause is still that of the onset.
        cause: 'value-above-limit',
        message: 'current is at 12.5 A, above its limit high of 12 A.',
        parameters: { value: 12.5 },
        present: 'current is normal again: it is at 11 A, the limit high is 12 A.',
      },
    ]);
  });

  test('each level is an alarm of its own', async () => {
    const line = await lineWith({ highHigh: 14, high: 12, low: 2, lowLow: 1 });
    for (const current of [13, 15, 13, 5, 1.5, 0.5]) await second(line, current);
    expect(changes(line)).toEqual([
      'high unacknowledged',
      'highHigh unacknowledged',
      'highHigh returned-unacknowledged',
      'high returned-unacknowledged',
      'low unacknowledged',
      'lowLow unacknowledged',
    ]);
  });

  test('the deadband keeps a value near the limit from chattering', async () => {
    const line = await lineWith({ high: 12, deadband: 1 });
    for (const current of [12.1, 11.4, 12.1, 10.8]) await second(line, current);
    expect(changes(line)).toEqual(['high unacknowledged', 'high returned-unacknowledged']);
  });

  test('the on-delay ends while the source sends nothing, because the last value holds', async () => {
    const line = await lineWith({ high: 12, onDelay: '5s' });
    await second(line, 13);
    expect(changes(line)).toEqual([]);
    await line.clock.advance(6000);
    expect(changes(line)).toEqual(['high unacknowledged']);
  });

  test('a value that is not good neither raises nor clears', async () => {
    const line = await lineWith({ high: 12 });
    for (const current of [13, undefined, undefined]) await second(line, current);
    expect(changes(line)).toEqual(['high unacknowledged']);
    expect(line.pipeline.limits.blind().map(({ tag }) => tag.name)).toEqual(['current']);
    await second(line, 5);
    expect(changes(line)).toEqual(['high unacknowledged', 'high returned-unacknowledged']);
    expect(line.pipeline.limits.blind()).toEqual([]);
  });

  test('a rate of change is that between two good values in a row, up or down', async () => {
    const line = await lineWith({ rateOfChange: '60/min' });
    for (const current of [5, 5.9, undefined, 9, 7.5]) await second(line, current);
    expect(line.store.bodies('alarm')).toMatchObject([
      {
        alarm: 'limit/current/rateOfChange',
        cause: 'rate-above-limit',
        message: 'current changes by 1.5 A/s, above its limit rateOfChange of 1 A/s.',
      },
      { state: 'returned-unacknowledged' },
    ]);
  });

  test('a value outside the range of the tag raises, but clears nothing', async () => {
    const line = await startLine({ watches: {}, limits: { vibration: { highHigh: 40 } } });
    for (const vibration of [60, 60, -5]) {
      line.pipeline.accept(scan(line.clock.nowMs(), [vibration, 1, 1]));
      await line.clock.advance(1000);
    }
    expect(line.store.bodies('alarm')).toMatchObject([
      { alarm: 'limit/vibration/highHigh', state: 'unacknowledged', message: expect.stringContaining('is at 60 g') },
    ]);
  });

  test('the deadband of the tag does not keep a rate of change in alarm', async () => {
    const line = await lineWith({ high: 80, rateOfChange: '60/min', deadband: 2 });
    for (const current of [5, 9, 9, 9, 9, 9]) await second(line, current);
    expect(changes(line)).toEqual(['rateOfChange unacknowledged', 'rateOfChange returned-unacknowledged']);
  });

  test('a delay counts the time of the agent, also for a device whose clock is behind', async () => {
    const line = await lineWith({ high: 12, onDelay: '60s' });
    const behind = (current: number) => line.pipeline.accept(scan(line.clock.nowMs() - 20_000, [1, current, 1]));
    for (let turn = 0; turn < 59; turn += 1) {
      behind(13);
      await line.clock.advance(1000);
    }
    expect(changes(line)).toEqual([]);
    await line.clock.advance(3000);
    expect(changes(line)).toEqual(['high unacknowledged']);
  });

  test('a rate falls while no value follows', async () => {
    const line = await lineWith({ rateOfChange: '2/s', onDelay: '10s' });
    for (const current of [5, 8]) await second(line, current);
    await line.clock.advance(60_000);
    expect(changes(line)).toEqual([]);
  });

  test('a late sample is not the present value', async () => {
    const line = await lineWith({ high: 12 });
    await second(line, 13);
    line.pipeline.accept(scan(line.clock.nowMs() - 6000, [1, 5, 1]));
    await line.clock.advance(0);
    expect(changes(line)).toEqual(['high unacknowledged']);
  });

  test('a tag that sends nothing for maxAge is blind', async () => {
    const line = await lineWith({ high: 12, maxAge: '10m' });
    await second(line, 5);
    await line.clock.advance(590_000);
    expect(line.pipeline.limits.blind()).toEqual([]);
    await line.clock.advance(20_000);
    expect(line.pipeline.limits.blind()).toHaveLength(1);
  });

  test('may be suppressed by the state of the plant, acknowledged and shelved', async () => {
    const line = await lineWith({ high: 12, suppressWhen: { tag: 'pressure', below: 0.5 } });
    await second(line, 13);
    await line.alarms.acknowledge('limit/current/high', 'Lea');
    line.pipeline.accept(scan(line.clock.nowMs(), [1, 13, 0.1]));
    await line.clock.advance(0);
    expect(changes(line)).toEqual(['high unacknowledged', 'high acknowledged', 'high suppressed-by-design']);
  });
});

describe('limits in the configuration', () => {
  test('a level has its own settings, else those of the tag, else defaults', () => {
    const limits = limitsSchema.parse({
      highHigh: { at: 14, priority: 'critical', onDelay: '0s' },
      high: 12,
      rateOfChange: { at: '30/h', deadband: 0.001 },
      deadband: 0.1,
      onDelay: '3s',
    });
    expect(limitsOf(limits)).toEqual([
      { level: 'highHigh', at: 14, deadband: 0.1, onDelayMs: 0, offDelayMs: 0, priority: 'critical' },
      { level: 'high', at: 12, deadband: 0.1, onDelayMs: 3000, offDelayMs: 0, priority: 'medium' },
      { level: 'rateOfChange', at: 30 / 3600, deadband: 0.001, onDelayMs: 3000, offDelayMs: 0, priority: 'medium' },
    ]);
  });

  test.each(['fast', '2', '2/day', '-1/s'])('a rate of change %s is refused', (rateOfChange) => {
    expect(limitsSchema.safeParse({ rateOfChange }).error?.issues[0]?.message).toContain('such as 2/s');
  });

  test('the limit itself is normal, on both sides', () => {
    const rule = { at: 2, deadband: 0 } as const;
    expect([isBeyond(2, { ...rule, level: 'high' }, false), isBeyond(2, { ...rule, level: 'low' }, false)]).toEqual([
      false,
      false,
    ]);
  });
});
