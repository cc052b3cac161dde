import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CrashPlant } from './crash-plant.ts';
import { loadPace } from './load-pace.ts';
import { type TestModel, TestModelDirectory } from './onnx-directory.ts';
import { loopModel, meanModel, rootModel } from './onnx-models.ts';
import { AgentFolder } from './start-agent.ts';

const golden = [{ window: [0], score: 0 }];
const shape = { name: 'echo', steps: 1, tags: 1, golden };
const mean = meanModel(1, 1);

/** Versions of the model `echo`, whose score is the level; abnormal above 1 by default. */
export const candidates = {
  sound: { ...shape, bytes: mean, golden: [{ window: [2], score: 2 }] },
  /** Calls everything abnormal. */
  nervous: { ...shape, bytes: mean, manifest: { threshold: -1 } },
  /** NaN below zero. */
  root: { ...shape, bytes: rootModel() },
  /** Counts to the level: a large one takes minutes. */
  slow: { ...shape, bytes: loopModel() },
} as const satisfies Record<string, TestModel>;

/** A machine, the model `echo` with version 1 active, and an agent's folder for them. */
export class RolloutPlant implements AsyncDisposable {
  readonly models = new TestModelDirectory();
  readonly folder = new AgentFolder();
  readonly plant: CrashPlant;
  /** Time between two windows. */
  readonly hopMs = 50 * loadPace;

  private constructor(plant: CrashPlant) {
    this.plant = plant;
  }

  static async start(): Promise<RolloutPlant> {
    const rollout = new RolloutPlant(await CrashPlant.start());
    rollout.models.add({ ...shape, bytes: mean, version: 1 });
    return rollout;
  }

  /** Adds a version to the directory, next to the active one. */
  addVersion(version: number, model: TestModel): void {
    const active = this.#read('active');
    this.models.add({ ...model, version });
    writeFileSync(this.#path('active'), active);
  }

  /**
   * Two watches of the level, up to 20 windows a second: `tried`, with `keys` of its own, and `other`, which pins version 1.
   * `models` are further keys of `models:`.
   */
  configure(keys: object, models: object = {}): void {
    const { sources } = this.plant.sections(`${this.hopMs}ms`);
    const watch = { model: 'echo', tags: ['level'], window: { step: `${this.hopMs}ms`, maxAge: `${5 * loadPace}s` } };
    const level = { register: 'holding', address: 0, type: 'int16', scale: 20_000 };
    this.folder.configure({
      sources: { plc: { ...sources.plc, tags: { ...sources.plc.tags, level } } },
      models: { directory: this.models.path, ...models },
      watches: { tried: { ...watch, ...keys }, other: { ...watch, model: 'echo@1' } },
    });
  }

  /** Register value of the level; the level is 20,000 times this value. */
  setLevel(value: number): void {
    this.plant.plc.registers[0] = value & 0xffff;
  }

  get active(): number {
    return Number(this.#read('active'));
  }

  get rejected(): readonly number[] {
    if (!existsSync(this.#path('rejected.json'))) return [];
    return (JSON.parse(this.#read('rejected.json')) as { readonly version: number }[]).map(({ version }) => version);
  }

  /** As if a rollout had just found the version bad. */
  reject(version: number): void {
    const entry = { version, reason: 'it crashed once', time: new Date(Date.now() + 1000).toISOString() };
    writeFileSync(this.#path('rejected.json'), JSON.stringify([entry]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.folder[Symbol.dispose]();
    this.models[Symbol.dispose]();
    await this.plant[Symbol.asyncDispose]();
  }

  #read(file: string): string {
    return readFileSync(this.#path(file), 'utf8');
  }

  #path(file: string): string {
    return join(this.models.path, 'echo', file);
  }
}
