import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  type MetricValueWithName,
  Registry,
} from 'prom-client';
import { invariant } from './errors.ts';

/** Definition of a metric, for docs/metrics.md and `# HELP`. Durations are in seconds, sizes in bytes. */
export type MetricDefinition = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper limits of the buckets, for histograms only. */
  readonly buckets?: readonly number[];
};

/** Metrics by name. Names with `nv_inference_` are Triton's, for tools that expect them. */
export type MetricCatalogue = Readonly<Record<`andon_${string}` | `nv_inference_${string}`, MetricDefinition>>;

/** Defines a counter. */
export function counter(help: string, labels: readonly string[] = []) {
  return { type: 'counter', help, labels } as const;
}

/** Defines a gauge. */
export function gauge(help: string, labels: readonly string[] = []) {
  return { type: 'gauge', help, labels } as const;
}

/** Defines a histogram. */
export function histogram(help: string, labels: readonly string[] = [], buckets: readonly number[] = durationBuckets) {
  return { type: 'histogram', help, labels, buckets } as const;
}

type MetricOf<D extends MetricDefinition> = D['type'] extends 'counter'
  ? Counter
  : D['type'] extends 'gauge'
    ? Gauge
    : Histogram;

/** Metrics by name. In a hot path, keep the child that `.labels(…)` returns instead of passing labels each time. */
export type MetricsOf<C extends MetricCatalogue> = {
  readonly [Name in keyof C]: C[Name] extends MetricDefinition ? MetricOf<C[Name]> : never;
};

/** Buckets for scans, runs and commits: 0.5 ms to 10 s. */
export const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A metric with its values, as it is sent from one process to another. */
export type MetricValues = MetricObjectWithValues<MetricValue<string>>;

/** The agent's Prometheus registry. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #histograms = new Map<string, Histogram>();
  readonly #updates = new Set<() => void>();
  readonly #included = new Set<() => Promise<readonly MetricValues[]>>();
  /** Values of processes that ended. */
  #past: readonly MetricValues[] = [];

  /** Creates the metrics of a catalogue, or returns those that another instance of the same kind created. */
  of<const C extends MetricCatalogue>(catalogue: C): MetricsOf<C> {
    const metrics = Object.entries(catalogue).map(([name, definition]) => [
      name,
      this.#registry.getSingleMetric(name) ?? this.#histograms.get(name) ?? this.#create(name, definition),
    ]);
    // The entries have the keys and types of the catalogue, which Object.fromEntries cannot express.
    return Object.fromEntries(metrics) as MetricsOf<C>;
  }

  /**
   * Registers `update`, which runs before each export. For events that are too frequent to be counted here one by one.
   *
   * @returns Function that removes it.
   */
  beforeText(update: () => void): () => void {
    this.#updates.add(update);
    return () => this.#updates.delete(update);
  }

  /**
   * Includes the metrics of another process. Values with the same name and labels are added.
   *
   * @param values Called for each export. Must not reject.
   * @returns Function that removes them.
   */
  include(values: () => Promise<readonly MetricValues[]>): () => void {
    this.#included.add(values);
    return () => this.#included.delete(values);
  }

  /** Returns all metrics in the Prometheus text format 0.0.4. */
  async text(): Promise<string> {
    const others = await Promise.all([...this.#included].map((values) => values()));
    if ([this.#past, ...others].every(({ length }) => length === 0))
      return [await this.#updated().metrics(), await sumOfMetrics([this.#histogramValues()]).metrics()].join('\n');
    await this.#sumUpPast();
    return sumOfMetrics([await this.values(), this.#past, ...others]).metrics();
  }

  /**
   * Keeps the counters and histograms of a process that ended, so that the sums stay monotonic. Gauges are dropped: their
   * values are no longer true.
   */
  retain(values: readonly MetricValues[]): void {
    this.#past = [...this.#past, ...values.filter(({ type }) => String(type) !== 'gauge')];
  }

  /** Returns the metrics of this process, for another process to include. */
  async values(): Promise<readonly MetricValues[]> {
    return [...(await this.#updated().getMetricsAsJSON()), ...this.#histogramValues()];
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Adds up the values of ended processes, so that each metric is kept once. */
  async #sumUpPast(): Promise<void> {
    const past = this.#past;
    const sum = await sumOfMetrics([past]).getMetricsAsJSON();
    if (this.#past === past) this.#past = sum;
  }

  #updated(): Registry {
    for (const update of this.#updates) update();
    return this.#registry;
  }

  #histogramValues(): readonly MetricValues[] {
    return [...this.#histograms.values()].map((metric) => metric.values());
  }

  #create(name: string, definition: MetricDefinition): Counter | Gauge | Histogram {
    const common = { name, help: definition.help, labelNames: [...definition.labels] };
    switch (definition.type) {
      case 'counter':
        return new Counter({ ...common, registers: [this.#registry] });
      case 'gauge':
        return new Gauge({ ...common, registers: [this.#registry] });
      case 'histogram': {
        const metric = new Histogram({ ...common, buckets: definition.buckets ?? durationBuckets });
        this.#histograms.set(name, metric);
        return metric;
      }
    }
  }
}

/** Adds the metrics of several processes, by name and labels. */
function sumOfMetrics(parts: readonly (readonly MetricValues[])[]): Registry {
  // The declared type is wrong: the function accepts the result of getMetricsAsJSON.
  return AggregatorRegistry.aggregate(parts as unknown as object[]);
}

/** Observations of one set of labels. */
type HistogramChild = { observe(value: number): void };

type Labels = Readonly<Record<string, string>>;

type HistogramOptions = {
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
class Histogram {
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
