import { describe, expect, test } from 'vitest';
import { linePoint, type Point } from '../../src/uplinks/influx/line-protocol.ts';
import { recordPoints } from '../../src/uplinks/influx/record-points.ts';

const point: Point = { measurement: 'm', labels: {}, fields: { value: 1 }, timeNs: 5n };

function lineOf(part: Partial<Point>, texts = true): string | undefined {
  return linePoint({ ...point, ...part }, texts);
}

describe('a line', () => {
  test.each([
    [{ fields: { a: 1, b: { whole: 1 }, c: true, d: 'x' } }, 'm a=1,b=1i,c=true,d="x" 5'],
    [{ fields: { a: 1e21, b: 1e-7, c: -0.5 } }, 'm a=1e+21,b=1e-7,c=-0.5 5'],
    [{ fields: { a: Number.NaN, b: Infinity, c: null, d: undefined, e: 2 } }, 'm e=2 5'],
    [{ fields: { a: { whole: 1.5 }, b: { whole: 2 ** 60 }, c: 0 } }, 'm c=0 5'],
    [{ fields: { a: 'say "x" \\ y' } }, 'm a="say \\"x\\" \\\\ y" 5'],
    [{ fields: { a: 'two\nlines\r\n\u0000' } }, 'm a="two lines " 5'],
    [{ fields: { 'a b': 1, 'c,d=e': 2 } }, 'm a\\ b=1,c\\,d\\=e=2 5'],
    [{ labels: { tag: 'a b,c=d', agent: 'x' } }, 'm,agent=x,tag=a\\ b\\,c\\=d value=1 5'],
    [{ labels: { tag: 'ends\\', agent: '' } }, 'm,tag=ends/ value=1 5'],
    [{ labels: { tag: 'Zähler °C' } }, 'm,tag=Zähler\\ °C value=1 5'],
    [{ measurement: 'a b,c=d' }, 'a\\ b\\,c=d value=1 5'],
  ])('of %j is %s', (part, line) => {
    expect(lineOf(part)).toBe(line);
  });

  test('without a field that has a value does not exist', () => {
    expect(lineOf({ fields: { value: Number.NaN } })).toBeUndefined();
    expect(lineOf({ fields: { value: 'x' } }, false)).toBeUndefined();
  });
});

describe('points of a record', () => {
  const record = { id: 'edge-01/e1/7', timestamp_ms: 1000 };

  test('a sample that is bad has its quality and no value', () => {
    const values = { a: [1.5, 'good'], b: [7, 'bad'], c: [null, 'bad', 20], d: [2, 'uncertain'] };
    const points = recordPoints('edge-01', { ...record, kind: 'sample', values });
    expect(points.map((each) => linePoint(each, true))).toEqual([
      'sample,agent=edge-01,tag=a value=1.5,quality="good",good=true 1000000000',
      'sample,agent=edge-01,tag=b quality="bad",good=false 1000000000',
      'sample,agent=edge-01,tag=c quality="bad",good=false 1020000000',
      'sample,agent=edge-01,tag=d value=2,quality="uncertain",good=false 1000000000',
    ]);
  });

  test('an unknown verdict has no score and is neither normal nor abnormal', () => {
    const verdict = {
      watch: 'filler-1',
      score: null,
      threshold: null,
      verdict: 'unknown',
      reason: 'stale',
      model: null,
    };
    const [line] = recordPoints('edge-01', { ...record, kind: 'verdict', ...verdict }).map((each) =>
      linePoint(each, true),
    );
    expect(line).toBe('verdict,agent=edge-01,watch=filler-1 verdict="unknown",known=false,reason="stale" 1000000000');
  });

  test('two alarms of one millisecond are two points, and a repeat is the same point', () => {
    const alarm = { kind: 'alarm', timestamp_ms: 1000, alarm: 'watch/a', state: 'unacknowledged', number: 3 } as const;
    const times = ['edge-01/e1/7', 'edge-01/e1/8', 'edge-01/e1/7'].map(
      (id) => recordPoints('edge-01', { ...alarm, id })[0]?.timeNs,
    );
    expect(times).toEqual([1_000_000_007n, 1_000_000_008n, 1_000_000_007n]);
  });
});
