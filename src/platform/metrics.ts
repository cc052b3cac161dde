import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { Histogram } from './histogram.ts';

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
