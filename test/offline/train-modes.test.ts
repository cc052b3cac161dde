import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { modelManifestSchema } from '../../src/contracts/model-manifest.ts';
import { machineRows } from '../training/machine.ts';
import { machineTags, timeText, TrainingSite } from './train-fixture.ts';

const ROWS = 2100;
const TRAINED = 1500;
const NEW_FROM = 2000;
/** Centres of the recipes: load, flow, temperature. */
const recipes = [
  [0, 0, 0],
  [40, 6, 30],
  [-30, 4, -25],
];

/** A machine that changes its recipe every 250 rows; the flow meter reads 2 too much from `faultFrom` on. */
function recipeLines(faultFrom?: number): readonly string[] {
  const { values } = machineRows(ROWS, 1, faultFrom);
  return [
    ['datetime', ...machineTags, 'recipe'].join(';'),
    ...Array.from({ length: ROWS }, (_, row) => {
      const recipe = Math.floor(row / 250) % 3;
      const cells = machineTags.map((_tag, tag) => (values[row * 3 + tag] ?? 0) + (recipes[recipe]?.[tag] ?? 0));
      return [timeText(row), ...cells, row < NEW_FROM ? recipe + 1 : 7].join(';');
    }),
  ];
}

function siteWithModes(): TrainingSite {
  const watch = { tags: machineTags, mode: { tag: 'recipe' } };
  return new TrainingSite({ tags: [...machineTags, 'recipe'], watch });
}

describe('a machine with recipes', () => {
  test('has a centre for each, no alarm when the recipe changes, and an alarm for a fault within one', async () => {
    const site = siteWithModes();
    await site.train({ csv: site.csv('day.csv', recipeLines()), rows: `0-${TRAINED - 1}` });
    const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
    expect(manifest.tags.map(({ name }) => name)).toEqual([...machineTags, 'recipe']);
    expect(manifest.modes).toMatchObject({ column: 3, values: [{ value: 1 }, { value: 2 }, { value: 3 }] });
    const rows = `${TRAINED}-${NEW_FROM - 1}`;
    const normal = await site.evaluate({ csv: site.path('day.csv'), rows, json: true });
    expect(JSON.parse(normal.out).evaluations[0].metrics).toMatchObject({ abnormalRows: 0, unknownRows: 0, alarms: 0 });
    const fault = await site.evaluate({ csv: site.csv('fault.csv', recipeLines(1600)), rows, json: true });
    const { abnormalRows, blame } = JSON.parse(fault.out).evaluations[0].metrics;
    expect(abnormalRows).toBeGreaterThan(0.8 * (NEW_FROM - 1600));
    expect(blame[0].tag).toBe('flow');
  });

  test('without a tag for the mode has a centre for each recipe that training finds, and an alarm for a fault within one', async () => {
    const site = new TrainingSite();
    const csv = site.csv('day.csv', recipeLines());
    await site.train({ csv, rows: `0-${TRAINED - 1}` });
    const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
    expect(manifest.regimes?.centres).toHaveLength(3);
    expect(manifest.modes).toBeUndefined();
    expect(site.read('models/machine/1/report.md')).toContain('The model has a centre for each.');
    const rows = `${TRAINED}-${NEW_FROM - 1}`;
    const normal = JSON.parse((await site.evaluate({ csv, rows, json: true })).out).evaluations[0].metrics;
    expect(normal).toMatchObject({ abnormalRows: 0, unknownRows: 0, alarms: 0 });
    const fault = await site.evaluate({ csv: site.csv('fault.csv', recipeLines(1600)), rows, json: true });
    const { abnormalRows, blame } = JSON.parse(fault.out).evaluations[0].metrics;
    expect(abnormalRows).toBeGreaterThan(0.8 * (NEW_FROM - 1600));
    expect(blame[0].tag).toBe('flow');
  });

  test('is unknown in a recipe that the model has never seen, with what to do', async () => {
    const site = siteWithModes();
    const csv = site.csv('day.csv', recipeLines());
    await site.train({ csv, rows: `0-${TRAINED - 1}` });
    const { out } = await site.evaluate({ csv, rows: `${NEW_FROM}-`, json: true });
    expect(JSON.parse(out).evaluations[0].metrics).toMatchObject({
      abnormalRows: 0,
      unknownRows: ROWS - NEW_FROM,
      unknownCauses: [
        {
          cause:
            'new mode: recipe is 7, and the model knows 1, 2, 3. Train it again on rows that have this mode: andon train',
        },
      ],
    });
  });

  test('warns of a recipe with too few rows, and does not learn it', async () => {
    const site = siteWithModes();
    const csv = site.csv('day.csv', recipeLines());
    const { out } = await site.train({ csv });
    expect(out).toContain('recipe is 7 in 100 rows only, 200 are needed');
    const manifest = modelManifestSchema.parse(parse(site.read('models/machine/1/model.yaml')));
    expect(manifest.modes?.values.map(({ value }) => value)).toEqual([1, 2, 3]);
  });
});
