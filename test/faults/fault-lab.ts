import { execFileSync } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { CompileCache, CrashPlant } from '../support/crash-plant.ts';
import {
  idsUsedTwice,
  outboxRecords,
  placeOf,
  type SeenRecord,
  statsOf,
  unexplainedGaps,
} from '../support/crash-receipts.ts';
import { TcpProxy } from '../support/broker-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { UpstreamBroker } from '../support/upstream-broker.ts';
import { UpstreamHttp } from '../support/upstream-http.ts';
import { FaultShim } from './fault-shim.ts';

/** Result of the oracle: each list is empty if the agent kept its promises. */
export type Verification = {
  readonly stored: number;
  /** Ids that a subscriber or uplink received and that the outbox does not have. */
  readonly lost: readonly string[];
  readonly usedTwice: readonly string[];
  readonly gaps: readonly string[];
  /** Records of the outbox that an uplink never received, by uplink. */
  readonly undelivered: Readonly<Record<string, readonly string[]>>;
  /** Records that the loss records report. */
  readonly reportedLosses: number;
};

const ALL_KINDS = ['alarm', 'verdict', 'sample', 'loss'];
const POLL_MS = 50;

export type LabOptions = {
  readonly logs?: boolean;
  readonly scanInterval?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** More of the configuration. */
  readonly outbox?: object;
  /** Puts the folder of the agent on a tmpfs of its own, of this size. Needs root. */
  readonly fileSystemBytes?: number;
  /** Mounts a file system of its own on the folder of the agent, and returns how to unmount it. */
  readonly mount?: (folder: string) => () => void;
  /** Only the files of the folder whose name begins so fail; default: all. */
  readonly faultyFiles?: string;
  /** Offset of the wall clock at the start. */
  readonly clockOffsetMs?: number;
};

/**
 * The daemon with one PLC, subscribers on MQTT, an MQTT and an HTTP uplink, and the faults of a shim: a level that comes and
 * goes raises and clears an alarm. `verify` compares what anyone received with what is stored.
 */
export class FaultLab implements AsyncDisposable {
  readonly plant: CrashPlant;
  readonly broker: UpstreamBroker;
  readonly lake: UpstreamHttp;
  /** Lines to the broker and to the HTTP receiver. */
  readonly lines: { readonly broker: TcpProxy; readonly lake: TcpProxy };
  readonly folder = new AgentFolder();
  readonly shim: FaultShim;
  readonly #cache = new CompileCache();
  readonly #options: LabOptions;
  #agent: AgentProcess | undefined;
  #httpPort = 0;
  readonly #unmount: (() => void) | undefined;

  private constructor(
    plant: CrashPlant,
    broker: UpstreamBroker,
    lake: UpstreamHttp,
    lines: FaultLab['lines'],
    options: LabOptions,
  ) {
    this.plant = plant;
    this.broker = broker;
    this.lake = lake;
    this.lines = lines;
    this.#options = options;
    if (options.fileSystemBytes !== undefined)
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.fileSystemBytes}`, 'none', this.folder.path]);
    this.#unmount = options.mount?.(this.folder.path);
    this.shim = new FaultShim(`${this.folder.path}/${options.faultyFiles ?? ''}`, options);
    this.shim.set('clockOffsetMs', options.clockOffsetMs ?? 0);
  }

  static async start(options: LabOptions = {}): Promise<FaultLab> {
    const plant = await CrashPlant.start();
    const [broker, lake] = [await new UpstreamBroker().listen(), await new UpstreamHttp().listen()];
    const lines = { broker: await TcpProxy.listen(broker.port), lake: await TcpProxy.listen(lake.port) };
    const lab = new FaultLab(plant, broker, lake, lines, options);
    lab.#httpPort = await freePort();
    plant.alternateLevel(500);
    lab.#configure(options.scanInterval ?? '50ms');
    await lab.restart();
    return lab;
  }

  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error('no agent runs');
    return this.#agent;
  }

  /** Starts the agent, and waits until it judges. */
  async restart(): Promise<void> {
    await this.launch();
    await this.nextJudged();
  }

  /** Starts the agent. */
  async launch(): Promise<void> {
    this.#agent = await AgentProcess.start(this.folder.configFile, {
      ...this.#cache.env,
      ...this.shim.env,
      ...this.#options.env,
    });
  }

  /** Components that are not ok, with their reasons; undefined without an answer. */
  async troubles(): Promise<Readonly<Record<string, string>> | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/healthz`, { signal: AbortSignal.timeout(5_000) });
      const { components } = (await answer.json()) as {
        readonly components: readonly { readonly name: string; readonly status: string; readonly reason: string }[];
      };
      return Object.fromEntries(
        components.filter(({ status }) => status !== 'ok').map(({ name, reason }) => [name, reason]),
      );
    } catch {
      return undefined;
    }
  }

  /** Sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#httpPort}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Polls until the condition holds. @returns Milliseconds waited. @throws {Error} after `limitMs`. */
  async until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 60_000): Promise<number> {
    const fromMs = performance.now();
    while (!(await holds())) {
      if (performance.now() - fromMs > limitMs)
        throw new Error(`${what}: not within ${limitMs} ms; health ${JSON.stringify(await this.troubles())}`);
      await wait(POLL_MS);
    }
    return Math.round(performance.now() - fromMs);
  }

  /** Waits until every component is ok, except that a busy machine may supersede windows. */
  healthy(limitMs?: number): Promise<number> {
    return this.until(
      'health is ok',
      async () => Object.keys((await this.troubles()) ?? { http: '' }).every((name) => name === 'watch/level'),
      limitMs,
    );
  }

  /** Resolves when a verdict of a window that the model judged is published, from now on. */
  async nextJudged(): Promise<void> {
    const judged = /"verdict":"(normal|abnormal)"/;
    await this.broker.published.when(({ payload }) => judged.test(payload), this.broker.published.items.length);
  }

  /** Scans a second over a time. */
  async scanRate(ms: number): Promise<number> {
    const before = this.plant.plc.requests.length;
    const fromMs = performance.now();
    await wait(ms);
    return Math.round(((this.plant.plc.requests.length - before) * 10_000) / (performance.now() - fromMs)) / 10;
  }

  /** Records that a subscriber or uplink has received so far. */
  received(): readonly SeenRecord[] {
    const published = ['verdict', 'alarm'].flatMap((kind) =>
      this.broker.on(`andon/v1/edge/${kind}/level`),
    ) as SeenRecord[];
    return [...published.filter(({ id }) => id !== undefined), ...this.#atUplinks().flatMap(({ records }) => records)];
  }

  /** Stops the agent, lets another life drain, and compares. */
  async verify(): Promise<Verification> {
    this.shim.clear();
    if (this.#agent !== undefined && this.agent.child.exitCode === null && this.agent.child.signalCode === null)
      await this.agent.end('SIGTERM');
    await this.#drain();
    const stored = await outboxRecords(this.folder);
    const ids = new Set(stored.map(({ id }) => id));
    const uplinks = this.#atUplinks();
    // A loss of the history stays on the box.
    const sent = stored.filter(({ kind, uplink }) => kind !== 'loss' || uplink !== null);
    return {
      stored: stored.length,
      lost: [...new Set(this.received().map(({ id }) => id))].filter((id) => !ids.has(id)),
      usedTwice: idsUsedTwice(stored, ...uplinks.map(({ records }) => records)),
      gaps: this.#gapsIn(stored),
      undelivered: Object.fromEntries(
        uplinks.map(({ uplink, records }) => {
          const arrived = new Set(records.map(({ id }) => id));
          // A record that the last life stored at its end waits for the next life.
          const last = sent.findLastIndex(({ id }) => arrived.has(id));
          return [uplink, sent.slice(0, last).flatMap(({ id }) => (arrived.has(id) ? [] : [id]))];
        }),
      ),
      reportedLosses: stored
        .filter(({ kind }) => kind === 'loss')
        .reduce((sum, loss) => sum + Number(loss['count'] ?? 0), 0),
    };
  }

  /** Epochs of the stored records. */
  async epochs(): Promise<number> {
    return new Set((await outboxRecords(this.folder)).map(({ id }) => placeOf(id).epoch)).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    await this.plant[Symbol.asyncDispose]();
    for (const line of Object.values(this.lines)) await line[Symbol.asyncDispose]();
    await this.broker[Symbol.asyncDispose]();
    await this.lake[Symbol.asyncDispose]();
    this.shim[Symbol.dispose]();
    this.#cache[Symbol.dispose]();
    this.#unmount?.();
    if (this.#options.fileSystemBytes !== undefined) execFileSync('umount', ['-l', this.folder.path]);
    this.folder[Symbol.dispose]();
  }

  /** Gaps that are not those of replaced loss records: one that no uplink gets is replaced by the next one, and then missing. */
  #gapsIn(stored: readonly SeenRecord[]): readonly string[] {
    const gaps = unexplainedGaps(stored);
    if (!stored.some(({ kind, uplink }) => kind === 'loss' && uplink === null)) return gaps;
    const received = new Set(this.received().map(({ id }) => id.slice(id.indexOf('/') + 1)));
    return gaps.filter((gap) => received.has(gap));
  }

  #atUplinks() {
    return [
      { uplink: 'cloud', records: this.broker.on('andon/v1/edge/records').flat() as SeenRecord[] },
      { uplink: 'lake', records: this.lake.stored as unknown as SeenRecord[] },
    ];
  }

  #configure(scanInterval: string): void {
    const watch = {
      model: 'echo',
      tags: ['level'],
      window: { step: scanInterval, hop: scanInterval, maxAge: '5s' },
      alarm: { onDelay: '0s', offDelay: '0s', priority: 'high' },
    };
    this.folder.configure({
      ...this.plant.sections(scanInterval),
      watches: { level: watch },
      publish: { type: 'mqtt', url: this.lines.broker.url },
      uplinks: this.#uplinks(),
      outbox: this.#outbox,
      // A reload starts a new endpoint, and the log with its address may not be read.
      http: { listen: `127.0.0.1:${this.#httpPort}` },
    });
  }

  /** Records stay, also when the clock jumps by years: the oracle compares with them. */
  get #outbox() {
    return { historyFlushInterval: '500ms', retention: '40000d', ...this.#options.outbox };
  }

  #uplinks() {
    return {
      cloud: { type: 'mqtt', url: this.lines.broker.url, records: ALL_KINDS, publishTimeout: '5s' },
      lake: {
        type: 'http',
        url: `http://127.0.0.1:${this.lines.lake.port}/ingest`,
        records: ALL_KINDS,
        timeout: '5s',
        batch: { linger: '50ms' },
      },
    };
  }

  /** A last life that makes next to nothing new, until both uplinks have it all. */
  async #drain(): Promise<void> {
    const { sources, models } = this.plant.sections('1h');
    this.folder.configure({ sources, models, uplinks: this.#uplinks(), outbox: this.#outbox });
    await using agent = await AgentProcess.start(this.folder.configFile, this.#cache.env);
    await this.until(
      'both uplinks have every record',
      async () => (await statsOf(this.folder, ['cloud', 'lake'])).uplinks.every(({ waiting }) => waiting === 0),
      120_000,
    );
    // A loss record is stored within 10 s of the start.
    await agent.end('SIGTERM');
  }
}

/** Describes what a verification found wrong; empty if nothing. */
export function brokenPromises({ lost, usedTwice, gaps, undelivered }: Verification): readonly string[] {
  return [
    ...lost.map((id) => `received but not stored: ${id}`),
    ...usedTwice.map((id) => `used twice: ${id}`),
    ...gaps.map((gap) => `gap without a loss record: ${gap}`),
    ...Object.entries(undelivered).flatMap(([uplink, ids]) => ids.map((id) => `never sent to ${uplink}: ${id}`)),
  ];
}
