import { nameSome } from '../domain/name-list.ts';
import { formatDuration } from '../domain/duration.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import type { RemoteServer } from '../contracts/remote-server.ts';
import type { ScanPlan } from '../contracts/source.ts';
import { endpointName, parseModbusUrl } from '../protocols/modbus/modbus-url.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { FoundModel, ModelLookup } from '../config/config-model-checks.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { agentTags, DERIVED, keptTags } from '../config/config-tags.ts';
import { sourceKindOf } from '../config/kinds.ts';

const DAY_MS = 86_400_000;
/** Measured: 3 bytes for slow integers, 5 for noisy float32 values with jitter in their times. */
const SAMPLE_BYTES = 5;
/** Minutes and hours of one tag. */
const ROLLUP_BYTES_PER_DAY = 50_000;

/** Plan of everything that would run with a configuration. */
export type AgentPlan = {
  readonly scans: readonly ScanPlan[];
  readonly links: readonly LinkPlan[];
  readonly windows: readonly WindowPlan[];
  readonly models: readonly ModelPlan[];
  readonly history: readonly HistoryPlan[];
  /** Number of tags that their source sends without a scan. */
  readonly tagsNotPolled: number;
};

/** One device or gateway, read by one or more sources. */
type LinkPlan = {
  readonly url: string;
  readonly sources: readonly string[];
  /** Share of its time that all scans together need; above 1 they can't be met. Scans without a pause are left out. */
  readonly load: number;
  /** Change that would let the scan intervals be met; undefined if they are. */
  readonly advice: string | undefined;
};

type WindowPlan = {
  readonly watch: string;
  readonly model: string;
  readonly columns: number;
  /** Rows of a window; undefined if the model does not exist. */
  readonly steps: number | undefined;
  readonly stepMs: number | 'scan';
  readonly hopMs: number | 'scan';
  /** Time span of a window; undefined if it depends on the scans or on a missing model. */
  readonly lengthMs: number | undefined;
  readonly alarmPriority: string | undefined;
  /** A version that judges the same windows for comparison; undefined without one. */
  readonly rollout: { readonly kind: 'shadow' | 'canary'; readonly model: string } | undefined;
};

type ModelPlan = {
  readonly model: string;
  /** The pinned or active version; undefined without one. */
  readonly version: number | undefined;
  readonly task: string | undefined;
  /** Execution providers in the order of the attempts; the one in use depends on the box. */
  readonly executionProviders: readonly string[];
  /** Server of a remote model and its fallback; undefined for a local model. */
  readonly remote: { readonly url: string; readonly fallback: string | undefined } | undefined;
  readonly watches: readonly string[];
  /** Why it has no version yet, so that its watches learn; undefined if it has one. */
  readonly absent: string | undefined;
  /** Reason why it cannot be used; undefined if it can. */
  readonly problem: string | undefined;
};

/** Samples of one source that the history keeps, at most: a deadband makes them fewer. */
type HistoryPlan = {
  readonly source: string;
  readonly keeps: 'watched' | 'all';
  readonly tags: number;
  /** Undefined if the source sends without a scan, or scans without a pause. */
  readonly samplesPerDay: number | undefined;
  readonly bytesPerDay: number | undefined;
};

/** Works out scans, windows and models. */
export function planAgent(config: AgentConfig, lookup: ModelLookup): AgentPlan {
  const scans = Object.entries(config.sources).flatMap(([id, source]) => sourceKindOf(source).plan(id, source));
  const polled = scans.reduce((sum, { tags }) => sum + tags, 0);
  return {
    scans,
    links: linkPlans(config, scans),
    windows: Object.entries(config.watches).map(([id, watch]) => windowPlan(id, watch, lookup)),
    models: modelPlans(config, lookup),
    history: historyPlans(config, scans),
    tagsNotPolled: agentTags(config).filter(({ source }) => source !== DERIVED).length - polled,
  };
}

/** Returns true if every scan interval can be met. */
export function canBeMet({ scans, links }: AgentPlan): boolean {
  return scans.every(({ advice }) => advice === undefined) && links.every(({ advice }) => advice === undefined);
}

/** Returns the share of the scan interval that a scan takes; undefined for scans without a pause. */
export function scanLoad({ busTimeMs, scanIntervalMs }: ScanPlan): number | undefined {
  return scanIntervalMs === 0 ? undefined : busTimeMs / scanIntervalMs;
}

function historyPlans(config: AgentConfig, scans: readonly ScanPlan[]): readonly HistoryPlan[] {
  const isKept = keptTags(config);
  return Object.entries(config.sources).flatMap(([source, { history: keeps }]) => {
    const kept = new Set(agentTags(config).flatMap((tag) => (tag.source === source && isKept(tag) ? [tag.name] : [])));
    if (kept.size === 0) return [];
    const rates = scans
      .filter((scan) => scan.source === source)
      .map(({ requests, scanIntervalMs }) => {
        const tags = requests.flatMap((request) => request.tags).filter((tag) => kept.has(tag));
        return tags.length === 0 ? 0 : (tags.length * DAY_MS) / scanIntervalMs;
      });
    const sum = rates.reduce((total, rate) => total + rate, 0);
    const samplesPerDay = rates.length === 0 || !Number.isFinite(sum) ? undefined : sum;
    const bytesPerDay =
      samplesPerDay === undefined ? undefined : samplesPerDay * SAMPLE_BYTES + kept.size * ROLLUP_BYTES_PER_DAY;
    return [{ source, keeps, tags: kept.size, samplesPerDay, bytesPerDay }];
  });
}

function linkPlans({ sources }: AgentConfig, scans: readonly ScanPlan[]): readonly LinkPlan[] {
  const links = new Map<string, string[]>();
  for (const [id, source] of Object.entries(sources)) {
    if (!scans.some((scan) => scan.source === id)) continue;
    const end = source.type === 'modbus' ? endpointName(parseModbusUrl(source.url)) : source.url;
    links.set(end, [...(links.get(end) ?? []), id]);
  }
  return [...links.values()].map((members) => {
    const url = sources[members[0] ?? '']?.url ?? '';
    const own = scans.filter(({ source }) => members.includes(source));
    const load = own.reduce((sum, scan) => sum + (scanLoad(scan) ?? 0), 0);
    return { url, sources: members, load, advice: load <= 1 ? undefined : linkAdvice(members, own, load) };
  });
}

/** Returns advice with the scan that takes most of the link's time and the tags that need a request of their own. */
function linkAdvice(sources: readonly string[], scans: readonly ScanPlan[], load: number): string {
  const who = sources.length === 1 ? 'its scans need' : `the scans of ${sources.join(', ')} together need`;
  const [heaviest] = scans.toSorted((a, b) => (scanLoad(b) ?? 0) - (scanLoad(a) ?? 0));
  const most =
    heaviest === undefined
      ? ''
      : `, ${percent(scanLoad(heaviest) ?? 0)} of it for ${heaviest.source} every ${formatDuration(heaviest.scanIntervalMs)}`;
  const alone = scans
    .filter(({ requests }) => requests.length > 1)
    .flatMap(({ requests }) => requests.flatMap(({ tags }) => (tags.length === 1 ? tags : [])));
  const change =
    alone.length === 0
      ? 'scan less often'
      : `scan less often, or move together ${nameSome(alone)}, which take a request each`;
  return `${who} ${percent(load)} of its time${most}: ${change}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function windowPlan(id: string, watch: WatchConfig, lookup: ModelLookup): WindowPlan {
  const { model, tags, window, alarm } = watch;
  const name = formatModelReference(model);
  const found = lookup.models.get(name);
  const steps = found !== undefined && 'manifest' in found ? found.manifest.window.steps : undefined;
  return {
    watch: id,
    model: name,
    columns: tags.length,
    steps,
    stepMs: window.stepMs,
    hopMs: window.hopMs ?? window.stepMs,
    lengthMs: steps === undefined || window.stepMs === 'scan' ? undefined : steps * window.stepMs,
    alarmPriority: alarm?.priority,
    rollout: rolloutPlan(watch),
  };
}

function modelPlans({ models, watches }: AgentConfig, lookup: ModelLookup): readonly ModelPlan[] {
  return [...lookup.models].map(([name, found]) => ({
    model: name,
    version: 'manifest' in found ? found.manifest.version : undefined,
    task: 'manifest' in found ? found.manifest.task : undefined,
    ...placePlan(models, 'manifest' in found ? found.manifest.remote : undefined),
    watches: Object.entries(watches).flatMap(([id, watch]) => usesOf(id, watch, name)),
    absent: 'absent' in found ? found.absent : undefined,
    problem: problemOf(found),
  }));
}

function problemOf(found: FoundModel): string | undefined {
  if ('problem' in found) return found.problem;
  return 'manifest' in found ? found.graphProblem : undefined;
}

function placePlan(
  { executionProviders }: AgentConfig['models'],
  remote: RemoteServer | undefined,
): Pick<ModelPlan, 'executionProviders' | 'remote'> {
  if (remote === undefined)
    return { executionProviders: executionProviders.map(({ name }) => name), remote: undefined };
  const fallback = remote.fallback === undefined ? undefined : formatModelReference(remote.fallback);
  return { executionProviders: ['remote'], remote: { url: remote.url, fallback } };
}

function rolloutPlan({ shadow, canary }: WatchConfig): WindowPlan['rollout'] {
  if (canary !== undefined) return { kind: 'canary', model: formatModelReference(canary) };
  return shadow === undefined ? undefined : { kind: 'shadow', model: formatModelReference(shadow) };
}

/** Returns a watch's uses of a model: `pump-1`, or `pump-1 (shadow)` if it only compares it. */
function usesOf(id: string, watch: WatchConfig, name: string): readonly string[] {
  const rollout = rolloutPlan(watch);
  return [
    ...(formatModelReference(watch.model) === name ? [id] : []),
    ...(rollout?.model === name ? [`${id} (${rollout.kind})`] : []),
  ];
}
