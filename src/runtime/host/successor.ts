import type { LatencyFigures } from '../../contracts/model-registry.ts';
import type { ProviderFallback } from '../../domain/alarm/verdict.ts';
import type { Clock } from '../../platform/clock.ts';
import { type HostProcess, START_DEADLINE_MS } from './host-process.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { judgesWindows } from '../../contracts/manifest-kind.ts';
import { checkLatency } from '../../models/checks/latency-check.ts';
import { servingOf } from '../../models/store/serving.ts';
import type { MemoryBound } from './memory-bound.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelSlot } from './model-slot.ts';
import type { ModelsConfig, ProviderConfig } from '../../models/store/models-config.ts';
import { loadOnFirstProvider, loadSession, type ProvidedSession } from './provider-order.ts';

/** A version that is to take over. */
export type Candidate = { readonly slot: ModelSlot; readonly stored: StoredModel };

/** A model as it runs now. */
export type RunningModel = Candidate & {
  readonly provider: ProviderConfig;
  readonly fallbacks: readonly ProviderFallback[];
};

type SuccessorModel = Candidate & {
  /** It takes over; the others continue as they are. */
  readonly isNew: boolean;
  readonly session: ProvidedSession;
  /** Undefined for a model that runs already, or without inputs to run it on. */
  readonly latency: LatencyFigures | undefined;
};

/** A fresh host with all models loaded. */
export type Successor = {
  readonly host: HostProcess;
  readonly models: readonly SuccessorModel[];
  readonly residentBytes: number;
};

export type SuccessorOptions = {
  /** Called again for each candidate that takes its host down. */
  readonly newHost: () => HostProcess;
  readonly running: readonly RunningModel[];
  readonly candidates: readonly Candidate[];
  /** A fresh host is needed even without a new version in it. */
  readonly isWantedAnyway: boolean;
  /** Receives each candidate that fails its proof, with the provider; may throw to give up. */
  readonly onRefused: (candidate: Candidate, error: unknown, provider: string | undefined) => void;
  readonly memory: MemoryBound;
  readonly config: ModelsConfig;
  readonly clock: Clock;
};

type Proven = SuccessorModel & { readonly grownBytes: number };

/**
 * Starts a fresh host, proves the new versions there (hash, graph, golden vectors, warm-up, latency against the
 * deadline, memory of the host), and loads the models that run now next to them, unchanged. The live host is not touched.
 *
 * @returns undefined if no candidate passed its proof and no fresh host is needed otherwise.
 * @throws {OperatingError} Why no host can have all models that run now; errors of `onRefused`.
 */
export async function prepareSuccessor(options: SuccessorOptions): Promise<Successor | undefined> {
  let { candidates } = options;
  // Each round ends with a successor, fewer candidates or an error.
  while (candidates.length > 0 || options.isWantedAnyway) {
    const host = options.newHost();
    try {
      const outcome = await fill(host, candidates, options);
      if (outcome.kind === 'successor') return outcome;
      candidates = outcome.candidates;
      host.kill('stopped');
    } catch (error) {
      host.kill('stopped');
      throw error;
    }
  }
  return undefined;
}

type Filled =
  | (Successor & { readonly kind: 'successor' })
  /** These must be tried in another host. */
  | { readonly kind: 'again'; readonly candidates: readonly Candidate[] };

async function fill(host: HostProcess, candidates: readonly Candidate[], options: SuccessorOptions): Promise<Filled> {
  await residentBytesOf(host);
  host.setOomScore('first');
  const proven: Proven[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const model = await prove(host, candidate, options);
    if (model !== undefined) proven.push(model);
    // Candidates that passed before are loaded again, because their host is gone.
    if (host.doomed) return { kind: 'again', candidates: [...proven, ...candidates.slice(index + 1)] };
  }
  if (proven.length === 0 && !options.isWantedAnyway) return { kind: 'again', candidates: [] };
  const renewed = new Set(proven.map(({ slot }) => slot));
  const models: SuccessorModel[] = [...proven];
  for (const running of options.running)
    if (!renewed.has(running.slot)) models.push(await loadAsItRuns(host, running, options.config));
  const residentBytes = await residentBytesOf(host);
  const excess = options.memory.excess(residentBytes);
  const largest = proven.toSorted((a, b) => b.grownBytes - a.grownBytes)[0];
  if (excess !== undefined && largest !== undefined) {
    options.onRefused(largest, inferenceFailure('model-too-large', excess), largest.session.provider.name);
    return { kind: 'again', candidates: proven.filter((model) => model !== largest) };
  }
  return { kind: 'successor', host, models, residentBytes };
}

async function prove(
  host: HostProcess,
  candidate: Candidate,
  { config, clock, onRefused }: SuccessorOptions,
): Promise<Proven | undefined> {
  const { slot, stored } = candidate;
  let provider: string | undefined;
  try {
    const beforeBytes = await residentBytesOf(host);
    const session = await loadOnFirstProvider(host, slot.label, stored, slot.crashes, config, ({ name }) => {
      provider = name;
    });
    // A return to an earlier version must succeed on a busy machine too.
    const { last } = slot.state;
    const isRollback = last !== undefined && stored.version < last.stored.version;
    const ifTooSlow = isRollback ? 'report' : 'refuse';
    const finite = judgesWindows(stored.manifest);
    const latency = await checkLatency({
      run: (inputs, timeoutMs) => host.call('run', { key: slot.label, inputs, finite }, timeoutMs),
      manifest: stored.manifest,
      inputs: session.loaded.inputs,
      deadlineMs: servingOf(config, stored.manifest).deadlineMs,
      runTimeoutMs: config.loadDeadlineMs,
      ifTooSlow,
      clock,
    });
    return { slot, stored, isNew: true, session, latency, grownBytes: (await residentBytesOf(host)) - beforeBytes };
  } catch (error) {
    onRefused(candidate, error, provider);
    // A version that is too slow is loaded nevertheless.
    if (!host.doomed) await host.call('unload', { key: slot.label }, START_DEADLINE_MS);
    return undefined;
  }
}

async function loadAsItRuns(
  host: HostProcess,
  { slot, stored, provider, fallbacks }: RunningModel,
  config: ModelsConfig,
): Promise<SuccessorModel> {
  const loaded = await loadSession(host, slot.label, stored, provider, config);
  return { slot, stored, isNew: false, session: { loaded, provider, fallbacks }, latency: undefined };
}

async function residentBytesOf(host: HostProcess): Promise<number> {
  return (await host.call('ping', undefined, START_DEADLINE_MS, 'hang')).residentBytes;
}
