import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';

const documents = join(import.meta.dirname, '../docs');

function example(name: string) {
  return JSON.parse(readFileSync(join(documents, 'examples', name), 'utf8'));
}

type Panel = {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
};

describe('the board for Grafana', () => {
  const board = example('grafana-board.json');
  const panels: readonly Panel[] = board.panels;
  const labels = new Map(
    [...readFileSync(join(documents, 'metrics.md'), 'utf8').matchAll(/^\| `(andon_\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(
      ([, name = '', type = '', list = '']) => [name, { type, labels: [...list.matchAll(/\w+/g)].map(String) }],
    ),
  );

  test.each(panels.map(({ title, targets }) => [title, targets] as const))(
    '%s: metrics and labels are those of docs/metrics.md',
    (_title, targets) => {
      for (const { expr, legendFormat } of targets) {
        const names = [...expr.matchAll(/andon_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''));
        expect(names.length).toBeGreaterThan(0);
        const allowed = new Set(['instance', 'le', ...names.flatMap((name) => labels.get(name)?.labels ?? [])]);
        expect(names.filter((name) => !labels.has(name))).toEqual([]);
        const groups = [...expr.matchAll(/(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
        const matchers = [...expr.matchAll(/(\w+)=~?"/g)].map(([, name = '']) => name);
        const legends = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name);
        expect([...groups, ...matchers, ...legends].filter((name) => !allowed.has(name))).toEqual([]);
      }
    },
  );

  test('a rate is that of a counter, and a quantile that of a histogram', () => {
    const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const typesOf = (pattern: RegExp) =>
      queries.flatMap((query) => [...query.matchAll(pattern)].map(([, name = '']) => labels.get(name)?.type));
    expect(new Set(typesOf(/increase\((andon_\w+)/g))).toEqual(new Set(['counter']));
    expect(new Set(typesOf(/rate\((andon_\w+)_bucket/g))).toEqual(new Set(['histogram']));
  });

  test('panels have ids of their own, are in the grid of 24 columns and do not overlap', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });
});

describe('the flow for Node-RED', () => {
  type FlowNode = { readonly id: string; readonly type: string; readonly [key: string]: unknown };
  const flow: readonly FlowNode[] = example('node-red-flow.json');
  const ids = new Set(flow.map(({ id }) => id));

  test('wires, tab and broker lead to nodes of the flow', () => {
    const targets = flow.flatMap(({ wires, z, broker, type }) => [
      ...((wires ?? []) as string[][]).flat(),
      ...(z === undefined ? [] : [z as string]),
      ...(type === 'mqtt in' ? [broker as string] : []),
    ]);
    expect(targets.filter((id) => !ids.has(id))).toEqual([]);
    expect(ids.size).toBe(flow.length);
  });

  test('its function passes each new alarm once', () => {
    const text = String(flow.find(({ type }) => type === 'function')?.['func']);
    const store = new Map<string, unknown>();
    const context = {
      get: (name: string) => store.get(name),
      set: (name: string, value: unknown) => store.set(name, value),
    };
    const passed = (payload: unknown) =>
      runInNewContext(`(function (msg, context) { ${text} })`)({ payload }, context)?.payload as string | undefined;
    const alarm = { id: 'edge-01/e1/7', state: 'unacknowledged', priority: 'high', message: 'Vibration is up' };
    expect([alarm, alarm, { ...alarm, id: 'edge-01/e1/8', state: 'normal' }, '', null].map(passed)).toEqual([
      'high: Vibration is up',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
