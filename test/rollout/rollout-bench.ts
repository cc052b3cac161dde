import { formatModelReference, type ModelReference } from '../../src/domain/model/model-reference.ts';
import type { ModelStanding, Rejection } from '../../src/domain/rollout/rollout-plan.ts';
import type { TallyState } from '../../src/domain/rollout/rollout-tally.ts';
import type { RolloutModels, VersionLedger } from '../../src/contracts/rollout-models.ts';
import type { RunResult, Tensors } from '../../src/contracts/inference.ts';
import { FakeWindowModels } from '../support/fake-window-models.ts';
import { OperatingError } from '../../src/platform/errors.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { WatchConfig } from '../../src/pipeline/watch-config.ts';
import { Rollouts, type RolloutsOptions } from '../../src/rollout/rollouts.ts';
import type { Deps } from '../../src/platform/deps.ts';
import { FakeInferenceHost } from '../support/fake-inference-host.ts';

const DEADLINE_MS = 500;

/** A model directory in memory, with one model. */
export class FakeLedger implements VersionLedger {
  active: number | undefined;
  previous: number | undefined;
  activatedMs: number;
  pinned = false;
  /** While set, nothing can be written. */
  readOnly = false;
  rejected: Rejection[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock, active: number, previous?: number) {
    this.#clock = clock;
    this.active = active;
    this.previous = previous;
    this.activatedMs = clock.nowMs();
  }

  async standing(): Promise<ModelStanding> {
    const { active, previous, activatedMs, pinned, rejected } = this;
    return { active, previous, activatedMs, pinned, rejected };
  }

  async reject(_name: string, version: number, reason: string): Promise<void> {
    this.#checkWritable();
    this.rejected = [...this.rejected, { version, reason, timestampMs: this.#clock.nowMs() }];
  }

  async rollback(_name: string, from: number): Promise<void> {
    if (this.pinned) throw new OperatingError('model-rollback-refused', 'reject', 'the model is pinned');
    this.#checkWritable();
    this.active = this.previous;
    this.previous = from;
    this.activatedMs = this.#clock.nowMs();
  }

  /** Activates a version as `andon models activate` does. */
  activate(version: number): void {
    this.previous = this.active;
    this.active = version;
    this.activatedMs = this.#clock.nowMs();
  }

  #checkWritable(): void {
    if (this.readOnly) throw new OperatingError('EROFS', 'retry', 'read-only file system');
  }
}

/** A process of its own for each version under rollout; each is a fake host that a test sets. */
class FakeRolloutModels extends FakeWindowModels implements RolloutModels {
  readonly wanted: string[] = [];
  readonly #hosts = new Map<string, FakeInferenceHost>();

  of(label: string): FakeInferenceHost {
    const known = this.#hosts.get(label);
    if (known !== undefined) return known;
    const host = new FakeInferenceHost({ version: Number(label.split('@')[1]) });
    this.#hosts.set(label, host);
    return host;
  }

  want(models: readonly ModelReference[]): void {
    this.wanted.splice(0, this.wanted.length, ...models.map(formatModelReference));
  }

  deadlineMs(): number {
    return DEADLINE_MS;
  }

  ready(model: ModelReference): ReturnType<RolloutModels['ready']> {
    const label = formatModelReference(model);
    return this.wanted.includes(label) ? this.of(label).ready(model) : undefined;
  }

  statuses(): ReturnType<RolloutModels['statuses']> {
    return this.wanted.flatMap((label) => this.of(label).statuses());
  }

  run(model: ModelReference, inputs: Tensors): Promise<RunResult> {
    return this.of(formatModelReference(model)).run(model, inputs);
  }
}

const rules = {
  withinMs: 3_600_000,
  periodMs: 3_600_000,
  minWindows: 10,
  alarmFactor: 2,
  alarmFloor: 2,
  crashes: 1,
  deadlineMisses: 2,
  invalidOutputs: 2,
} as const satisfies RolloutsOptions['rules'];

/** Rollouts on a ledger and processes of the test's own. */
export class RolloutBench {
  readonly models = new FakeRolloutModels();
  readonly tallies = new Map<string, TallyState>();
  ledger: FakeLedger | undefined;
  rollouts: Rollouts | undefined;
  readonly #versions: { readonly active: number; readonly previous?: number };
  readonly #prepare: (ledger: FakeLedger) => void;

  constructor(
    versions: { readonly active: number; readonly previous?: number },
    prepare: (ledger: FakeLedger) => void = () => undefined,
  ) {
    this.#versions = versions;
    this.#prepare = prepare;
  }

  readonly create = (watches: ReadonlyMap<string, WatchConfig>, inference: FakeInferenceHost, deps: Deps): Rollouts => {
    this.ledger = new FakeLedger(deps.clock, this.#versions.active, this.#versions.previous);
    this.#prepare(this.ledger);
    this.rollouts = new Rollouts({
      watches,
      inference,
      models: this.models,
      ledger: this.ledger,
      journal: {
        read: async () => this.tallies,
        write: async (tallies) => {
          for (const [key, tally] of tallies) this.tallies.set(key, structuredClone(tally));
        },
      },
      rules,
      deps,
    });
    return this.rollouts;
  };
}
