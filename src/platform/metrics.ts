import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** A metric as docs/metrics.md and `# HELP` show it. Durations in seconds, sizes in bytes. */
export type MetricDefinition = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds; histograms only. */
  readonly buckets?: readonly number[];
};

/** Names are ours, but for those by which tools for inference servers look (Triton's). */
export type MetricCatalogue = Readonly<Record<`andon_${string}` | `nv_inference_${string}`, MetricDefinition>>;

type MetricOf<D extends MetricDefinition> = D['type'] extends 'counter'
  ? Counter
  : D['type'] extends 'gauge'
    ? Gauge
    : Histogram;

/** Metrics by name. In a hot path, keep the child that `.labels(…)` returns instead of naming labels each time. */
export type MetricsOf<C extends MetricCatalogue> = {
  readonly [Name in keyof C]: C[Name] extends MetricDefinition ? MetricOf<C[Name]> : never;
};

/** Fits scans, runs and commits: 0.5 ms to 10 s. */
export const durationBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A metric with what it stands at, as it crosses from one process to another. */
export type MetricValues = MetricObjectWithValues<MetricValue<string>>;

/** The agent's Prometheus registry. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #updates = new Set<() => void>();
  readonly #others = new Set<() => Promise<readonly MetricValues[]>>();
  /** Of processes that are gone. */
  #past: readonly MetricValues[] = [];

  /** Makes the catalogue's metrics, or finds them where another instance of the same kind already did. */
  of<const C extends MetricCatalogue>(catalogue: C): MetricsOf<C> {
    const metrics = Object.entries(catalogue).map(([name, definition]) => [
      name,
      this.#registry.getSingleMetric(name) ?? this.#create(name, definition),
    ]);
    // The entries are built from the catalogue's own keys and types, which Object.fromEntries cannot express.
    return Object.fromEntries(metrics) as MetricsOf<C>;
  }

  /**
   * For what happens too often to be counted here one by one: `update` is called before each text, to add what came since.
   *
   * @returns Ends it.
   */
  beforeText(update: () => void): () => void {
    this.#updates.add(update);
    return () => this.#updates.delete(update);
  }

  /**
   * Adds what another process counts: values of the same name and labels are added up.
   *
   * @param values Asked before each text; must not reject.
   * @returns Ends it.
   */
  include(values: () => Promise<readonly MetricValues[]>): () => void {
    this.#others.add(values);
    return () => this.#others.delete(values);
  }

  /** Prometheus text format 0.0.4. */
  async text(): Promise<string> {
    const others = await Promise.all([...this.#others].map((values) => values()));
    if ([this.#past, ...others].every(({ length }) => length === 0)) return this.#updated().metrics();
    await this.#sumUpPast();
    return sumOfMetrics([await this.values(), this.#past, ...others]).metrics();
  }

  /**
   * Keeps what a process had counted that is gone: its counters and histograms go on from there. What a gauge stood at means
   * nothing any more.
   */
  retain(values: readonly MetricValues[]): void {
    this.#past = [...this.#past, ...values.filter(({ type }) => String(type) !== 'gauge')];
  }

  /** Everything that is counted here, for another process to include. */
  values(): Promise<readonly MetricValues[]> {
    return this.#updated().getMetricsAsJSON();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Each metric once, however many processes have gone. */
  async #sumUpPast(): Promise<void> {
    const past = this.#past;
    const sum = await sumOfMetrics([past]).getMetricsAsJSON();
    if (this.#past === past) this.#past = sum;
  }

  #updated(): Registry {
    for (const update of this.#updates) update();
    return this.#registry;
  }

  #create(name: string, definition: MetricDefinition): Counter | Gauge | Histogram {
    const common = { name, help: definition.help, labelNames: [...definition.labels], registers: [this.#registry] };
    switch (definition.type) {
      case 'counter':
        return new Counter(common);
      case 'gauge':
        return new Gauge(common);
      case 'histogram':
        return new Histogram({ ...common, buckets: [...(definition.buckets ?? durationBuckets)] });
    }
  }
}

/** What several processes count, added up by name and labels. */
function sumOfMetrics(parts: readonly (readonly MetricValues[])[]): Registry {
  // The library's declaration names the metrics' constructors; what it takes is what getMetricsAsJSON gives.
  return AggregatorRegistry.aggregate(parts as unknown as object[]);
}
