import type { MetricObjectWithValues, MetricValueWithName } from 'prom-client';
import { invariant } from './errors.ts';

/** Observations of one set of labels. */
export type HistogramChild = { observe(value: number): void };

type Labels = Readonly<Record<string, string>>;

export type HistogramOptions = {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper limits of the buckets, ascending. */
  readonly buckets: readonly number[];
};

/**
 * Histogram of a Prometheus registry. An observation increments numbers in an array and makes no object: prom-client's takes 128 bytes
 * for each, and the Modbus sources of a large site make 5,000 a second. The cumulative counts are made for an export only.
 */
export class Histogram {
  readonly #options: HistogramOptions;
  readonly #children = new Map<string, Child>();

  constructor(options: HistogramOptions) {
    this.#options = options;
    if (options.labelNames.length === 0) this.labels();
  }

  /** Returns the child with the values of the labels, in the order of their definition. Keep it for frequent observations. */
  labels(...values: readonly string[]): HistogramChild {
    const key = values.join('\0');
    let child = this.#children.get(key);
    if (child === undefined) {
      const { name, labelNames, buckets } = this.#options;
      invariant(values.length === labelNames.length, `${name} has the labels ${labelNames.join(', ')}`);
      const labels = Object.fromEntries(labelNames.map((label, index) => [label, values[index] ?? '']));
      this.#children.set(key, (child = new Child(labels, buckets)));
    }
    return child;
  }

  /** Counts a value. */
  observe(labels: Labels, value: number): void {
    this.labels(...this.#options.labelNames.flatMap((name) => labels[name] ?? [])).observe(value);
  }

  /** Returns the values in the form of prom-client's registry. */
  values(): MetricObjectWithValues<MetricValueWithName<string>> {
    const { name, help } = this.#options;
    const values = [...this.#children.values()].flatMap((child) => child.values(name));
    // prom-client declares a number for the type, and uses and returns a string.
    return { name, help, type: 'histogram', aggregator: 'sum', values } as unknown as MetricObjectWithValues<
      MetricValueWithName<string>
    >;
  }
}

class Child implements HistogramChild {
  readonly #labels: Labels;
  readonly #limits: readonly number[];
  /** Observations in each bucket, not cumulative; the last is for those above all limits. */
  readonly #counts: Float64Array;
  /** Sum of the values. In an array, because a changed number in a field is a new object for V8. */
  readonly #sum = new Float64Array(1);

  constructor(labels: Labels, limits: readonly number[]) {
    this.#labels = labels;
    this.#limits = limits;
    this.#counts = new Float64Array(limits.length + 1);
  }

  observe(value: number): void {
    const limits = this.#limits;
    let bucket = 0;
    while (bucket < limits.length && value > (limits[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum[0] = (this.#sum[0] ?? 0) + value;
  }

  values(name: string): readonly MetricValueWithName<string>[] {
    let count = 0;
    const buckets = [...this.#counts].map((inBucket, index) => {
      count += inBucket;
      const labels = { le: this.#limits[index] ?? '+Inf', ...this.#labels };
      return { metricName: `${name}_bucket`, labels, value: count };
    });
    const labels = this.#labels;
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum[0] ?? 0 },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
