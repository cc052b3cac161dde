import { nameSome } from '../../domain/name-list.ts';
import type { SampleBatch } from '../../domain/sample/sample-batch.ts';
import type { RegisterBlock, RegisterReading, Source, SourceContext } from '../../contracts/source.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { ComponentHealth } from '../../platform/health.ts';
import { tagNumberOf } from '../source-tags.ts';
import type { ModbusSourceConfig } from './plan/modbus-config.ts';
import { INVALID_ADVICE } from './frame/not-available.ts';
import type { EndpointLinkOptions } from './link/endpoint-link.ts';
import { LinkPool } from './link/link-pool.ts';
import type { ModbusLink } from './link/modbus-link.ts';
import { ModbusMeters } from './link/modbus-metrics.ts';
import { parseModbusUrl } from '../../protocols/modbus/modbus-url.ts';
import { RequestGroups } from './scan/request-groups.ts';
import { ScanClass } from './scan/scan-class.ts';
import { ScanQueue } from './scan/scan-queue.ts';
import { RegisterBrowser } from './register-browser.ts';
import { planScanClasses, readLimits } from './plan/scan-plan.ts';
import { Scanner } from './scan/scanner.ts';
import { SuspectTags } from './scan/suspect-tags.ts';
import { UnitBreaker } from './scan/unit-breaker.ts';

type ScheduledClass = { readonly scanner: Scanner; readonly scanClass: ScanClass; readonly scanIntervalMs: number };

/** Source that reads one unit of a Modbus device, with scan classes, over a link that other sources may share. */
export class ModbusSource implements Source {
  readonly #context: SourceContext<ModbusSourceConfig>;
  readonly #meters: ModbusMeters;
  readonly #link: ModbusLink;
  readonly #browser: RegisterBrowser;
  readonly #breaker: UnitBreaker;
  readonly #groups: RequestGroups;
  readonly #suspects = new SuspectTags();
  readonly #classes: readonly ScheduledClass[];
  #health: ComponentHealth | undefined;
  #state: 'new' | 'started' | 'disposed' = 'new';
  /** False until the first scan has ended; before that there is nothing to report. */
  #scanned = false;

  constructor(context: SourceContext<ModbusSourceConfig>) {
    const { config, deps, id } = context;
    this.#context = context;
    this.#meters = new ModbusMeters(deps.metrics, id);
    this.#breaker = new UnitBreaker(deps.random);
    this.#groups = new RequestGroups(config.requestsInFlight, deps.random);
    const options: EndpointLinkOptions = {
      endpoint: parseModbusUrl(config.url),
      connectTimeoutMs: config.connectTimeoutMs,
      reconnectFirstMs: config.reconnect.firstMs,
      reconnectMaxMs: config.reconnect.maxMs,
      pauseMs: config.pauseBetweenRequestsMs,
      pauseAfterConnectMs: config.pauseAfterConnectMs,
      closeAfterScan: config.closeAfterScan,
      tls: config.tls,
      rs485: config.rs485,
      framing: config.framing,
      transactionId: config.transactionId,
    };
    const user = { meters: this.#meters, onChange: () => this.#report(), spareRegisters: config.maxGap };
    this.#link = LinkPool.of(deps).share(options, user);
    this.#browser = new RegisterBrowser(options, config, deps);
    this.#classes = this.#createClasses();
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#health = this.#context.deps.health.component(`source/${this.#context.id}`);
    this.#link.start();
    for (const { scanner, scanClass } of this.#classes) scanner.start(scanClass);
  }

  readRegisters(block: RegisterBlock): Promise<readonly RegisterReading[]> {
    return this.#browser.read(block);
  }

  lastTickMs(): number {
    const linkMs = this.#link.lastTickMs();
    const scannersMs = this.#classes.map(({ scanner, scanClass }) =>
      // Each read of a running scan ends with a response or at its deadline.
      scanClass.running ? Math.max(scanner.lastTickMs(), linkMs) : scanner.lastTickMs(),
    );
    return Math.min(...scannersMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'disposed';
    for (const { scanner } of this.#classes) scanner.stop();
    await this.#browser[Symbol.asyncDispose]();
    await this.#link[Symbol.asyncDispose]();
    this.#meters.close();
    this.#health?.remove();
    this.#health = undefined;
  }

  #createClasses(): readonly ScheduledClass[] {
    const { id, config, tagNumbers, sink, deps } = this.#context;
    return planScanClasses(config).map(({ scanIntervalMs, blocks }) => {
      const scanner = new Scanner({
        scanIntervalMs,
        clock: deps.clock,
        queue: ScanQueue.of(deps),
        onMissed: (scans) => this.#meters.missedScans(scans),
      });
      const scanClass = new ScanClass({
        source: id,
        unitId: config.unitId,
        blocks: blocks.map((block) => ({
          ...block,
          items: block.items.map((tag) => ({ ...tag, number: tagNumberOf(tag.name, tagNumbers) })),
        })),
        limits: readLimits(config),
        timeoutMs: config.timeoutMs,
        retries: config.retries,
        link: this.#link,
        breaker: this.#breaker,
        groups: this.#groups,
        meters: this.#meters,
        sink,
        deps,
        onScanEnd: (answered, batch) => this.#onScanEnd(scanner, answered, batch),
        onChange: () => this.#report(),
      });
      return { scanner, scanClass, scanIntervalMs };
    });
  }

  #onScanEnd(scanner: Scanner, answered: boolean, batch: SampleBatch): void {
    scanner.scanEnded(answered);
    this.#link.scanEnded();
    const changed = this.#suspects.scanned(batch, this.#context.deps.clock.monotonicMs());
    if (this.#scanned && !changed) return;
    this.#scanned = true;
    this.#report();
  }

  /** Called when a state changes, never for each scan or read. */
  #report(): void {
    const disabled = this.#classes.flatMap(({ scanClass }) => scanClass.disabledParts());
    const disabledNames = disabled.flatMap(({ block }) => block.items.map(({ name }) => name));
    this.#meters.tagsDisabledState(disabledNames.length);
    this.#meters.unitsAway(this.#breaker.away ? 1 : 0);
    const linkProblem = this.#link.problem();
    const problems = [
      ...(linkProblem === undefined ? [] : [linkProblem.message]),
      ...(this.#breaker.away
        ? [
            `unit ${this.#context.config.unitId} does not answer and is retried with growing waits: ${this.#breaker.problem}`,
          ]
        : []),
      ...(linkProblem === undefined ? this.#scanProblems() : []),
      ...(this.#groups.problem === undefined ? [] : [this.#groups.problem]),
      ...this.#suspectProblems(),
      ...(disabledNames.length === 0 ? [] : [`${nameSome(disabledNames)} disabled: ${disabled[0]?.disabled?.message}`]),
    ];
    if (problems.length > 0) this.#health?.report('degraded', problems.join('; '), this.#problemCode());
    else if (this.#scanned) this.#health?.report('ok');
  }

  /** Code of the first problem; undefined if it has none. */
  #problemCode(): string | undefined {
    const linkProblem = this.#link.problem();
    if (linkProblem !== undefined) return linkProblem.code;
    return this.#breaker.away ? 'modbus-timeout' : undefined;
  }

  #suspectProblems(): readonly string[] {
    const numbers = new Set(this.#suspects.numbers());
    if (numbers.size === 0) return [];
    const tags = Object.keys(this.#context.config.tags);
    const names = tags.filter((name) => numbers.has(tagNumberOf(name, this.#context.tagNumbers)));
    return [
      `${nameSome(names)} uncertain (not-available?): the raw value is usually a code for "not available". ${INVALID_ADVICE}`,
    ];
  }

  #scanProblems(): readonly string[] {
    return this.#classes.flatMap(({ scanClass, scanIntervalMs }) => {
      const problem = scanClass.problem();
      return problem === undefined ? [] : [`scan every ${formatDuration(scanIntervalMs)}: ${problem}`];
    });
  }
}
