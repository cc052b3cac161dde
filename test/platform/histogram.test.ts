import { Histogram as PromHistogram, Registry } from 'prom-client';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { histogram, Metrics } from '../../src/platform/metrics.ts';

const NAME = 'andon_test_seconds';
const HELP = 'Duration of a test.';
const buckets = [0.001, 0.01, 0.1, 1];

type Observation = { readonly source: string; readonly value: number };

/** Returns the export of prom-client's own histogram for the same observations. */
async function expectedText(observations: readonly Observation[], labelNames: readonly string[]): Promise<string> {
  const registry = new Registry();
  const metric = new PromHistogram({
    name: NAME,
    help: HELP,
    labelNames: [...labelNames],
    buckets,
    registers: [registry],
  });
  for (const { source, value } of observations)
    if (labelNames.length === 0) metric.observe(value);
    else metric.observe({ source }, value);
  return registry.metrics();
}

/** Lines in the order of the alphabet: the order of series has no meaning. */
function sortedLines(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .toSorted();
}

const observation = fc.record({
  source: fc.constantFrom('press-1', 'press-2', 'a "b" \\ c'),
  // Values at, next to and above the limits of the buckets.
  value: fc.oneof(fc.constantFrom(0, ...buckets, 1.0001, 50), fc.double({ min: 0, max: 2, noNaN: true })),
});

it.each([{ labels: ['source'] }, { labels: [] }])(
  'is exported as prom-client exports its own histogram of the same values: $labels',
  async ({ labels }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(observation, { maxLength: 40 }), async (observations) => {
        const metrics = new Metrics();
        const metric = metrics.of({ [NAME]: histogram(HELP, labels, buckets) })[NAME];
        const child = labels.length === 0 ? metric?.labels() : undefined;
        for (const { source, value } of observations)
          if (child === undefined) metric?.observe({ source }, value);
          else child.observe(value);
        expect(sortedLines(await metrics.text())).toEqual(sortedLines(await expectedText(observations, labels)));
      }),
      { numRuns: 50 },
    );
  },
);

it('is added to the histogram of the same name of another process', async () => {
  const definition = { [NAME]: histogram(HELP, ['source'], buckets) };
  const [here, there] = [new Metrics(), new Metrics()];
  here.of(definition)[NAME]?.observe({ source: 'a' }, 0.005);
  there.of(definition)[NAME]?.observe({ source: 'a' }, 0.05);
  here.include(() => there.values());
  const text = await here.text();
  expect(text).toContain(`${NAME}_bucket{le="0.01",source="a"} 1\n`);
  expect(text).toContain(`${NAME}_bucket{le="0.1",source="a"} 2\n`);
  expect(text).toContain(`${NAME}_count{source="a"} 2\n`);
});

it('refuses an observation without one of its labels', () => {
  const metric = new Metrics().of({ [NAME]: histogram(HELP, ['source'], buckets) })[NAME];
  expect(() => metric?.observe({}, 1)).toThrow('source');
});
