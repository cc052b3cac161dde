import type { TrainingRequest } from '../contracts/models/model-trainings.ts';
import type { TagReading } from '../contracts/live-events.ts';
import type { TrainingJob } from '../learning/training-job.ts';
import type { Source } from '../contracts/source.ts';
import type { SourceOverview } from '../http/source-routes.ts';
import { bindWatch } from '../config/watch-binding.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import type { TagRegister } from '../config/tag-register.ts';
import { agentTags } from '../config/config-tags.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { ModelReference } from '../domain/model/model-reference.ts';
import type { Tag, TagNumber } from '../domain/sample/tag.ts';
import { watchHosts } from '../models/store/serving.ts';
import type { AlarmDefinition } from '../pipeline/alarm-definition.ts';
import type { DiagnosticMonitorOptions } from '../pipeline/diagnostic-monitor.ts';
import { limitAlarms } from '../pipeline/limit-monitor.ts';
import type { PipelineConfig } from '../pipeline/pipeline.ts';
import { watchAlarms } from '../pipeline/verdict-alarm.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { ChangingSettings, ModelServerSettings } from '../serving/model-server-settings.ts';
import { modelServerConfig } from '../serving/serving-config.ts';
import { dependencies } from './dependencies.ts';
import { recordInterests } from './record-interests.ts';

/** Time without a verdict after which a watch is blind, if diagnostic alarms are off. */
const BLIND_AFTER_MS = 30_000;

/** Settings of the agent's parts, each from the sections that concern it. */

export function watchesOf({ watches }: AgentConfig): ReadonlyMap<string, WatchConfig> {
  return new Map(Object.entries(watches));
}

export function modelsOf({ watches }: AgentConfig): readonly ModelReference[] {
  return Object.values(watches).map(({ model }) => model);
}

export function alarmsOf(config: AgentConfig): readonly AlarmDefinition[] {
  return [...watchAlarms(watchesOf(config)), ...limitAlarms(config.limits)];
}

export function pipelineConfig(config: AgentConfig): PipelineConfig {
  return {
    watches: watchesOf(config),
    limits: config.limits,
    ...(config.publish === undefined ? {} : { tagEventsMs: config.publish.tagIntervalMs }),
    sampleRecords: recordInterests(config).some(({ kinds }) => kinds.includes('sample')),
  };
}

/** @returns Undefined if no models are served. */
export function modelServerSettings(
  config: AgentConfig,
): Omit<ModelServerSettings<AgentConfig['models']>, 'agentId' | 'version' | 'localToken'> | undefined {
  const serving = modelServerConfig(config);
  if (serving === undefined) return undefined;
  return { serving, models: config.models, watchHosts: watchHosts(config.models, modelsOf(config)) };
}

/** Returns the settings of the model server that apply without a restart. */
export function changingSettings(config: AgentConfig): ChangingSettings {
  return { watched: modelsOf(config), logLevel: config.log.level };
}

/** @returns Undefined if the agent raises no alarms of its own. */
export function diagnosticSettings(
  config: AgentConfig,
): Pick<DiagnosticMonitorOptions, 'config' | 'neededBy' | 'sharedBy'> | undefined {
  const { diagnostic } = config.alarms;
  return diagnostic === 'off' ? undefined : { config: diagnostic, ...dependencies(config) };
}

/** Returns the time without a verdict after which a watch is blind, ms. */
export function blindAfterMs({ alarms: { diagnostic } }: AgentConfig): number {
  return diagnostic === 'off' ? BLIND_AFTER_MS : diagnostic.afterMs;
}

/** Returns the tags of a watch's sources that it does not use. */
export function tagsNextTo(config: AgentConfig, watch: string): ReadonlySet<string> {
  const own = new Set(config.watches[watch]?.tags);
  const tags = agentTags(config);
  const sources = new Set(tags.flatMap(({ name, source }) => (own.has(name) ? [source] : [])));
  return new Set(tags.flatMap(({ name, source }) => (sources.has(source) && !own.has(name) ? [name] : [])));
}

/** Returns the sources with a good value that is not older than `sinceMs`. */
export function delivering(
  tags: readonly Tag[],
  readings: readonly TagReading[],
  sinceMs: EpochMs,
): ReadonlySet<string> {
  const good = new Set(
    readings.flatMap(({ tag, quality, timestampMs }) => (quality === 'good' && timestampMs >= sinceMs ? [tag] : [])),
  );
  return new Set(tags.flatMap(({ name, source }) => (good.has(name) ? [source] : [])));
}

/** Returns the sources with the last values of their tags. */
export function sourceOverviews(
  { sources }: AgentConfig,
  tags: readonly Tag[],
  readings: readonly TagReading[],
  running: { get(id: string): Source | undefined },
): readonly SourceOverview[] {
  const readingOf = new Map(readings.map((reading) => [reading.tag, reading]));
  const tagsOf = Map.groupBy(tags, ({ source }) => source);
  return Object.entries(sources).map(([source, { type, url }]) => ({
    source,
    type,
    url: typeof url === 'string' ? url : undefined,
    running: running.get(source),
    tags: (tagsOf.get(source) ?? []).flatMap(({ name }) => readingOf.get(name) ?? []),
  }));
}

/** Returns the training of a watch in the present configuration. */
export function trainingJob(config: AgentConfig, request: TrainingRequest): TrainingJob {
  const { watch, tags } = bindWatch(config, request.watch);
  return { ...request, config: watch, tags, models: config.models, outboxPath: config.outbox.path };
}

/** Returns the numbers of tags. Unknown ones are left out. */
export function numbersOf(names: Iterable<string>, register: TagRegister): readonly TagNumber[] {
  const numbers = register.numbers();
  return [...names].flatMap((name) => numbers.get(name) ?? []);
}

/** Returns the numbers of sources, tags and watches, for the log. */
export function sizesOf({ watches }: AgentConfig, sources: number, register: TagRegister) {
  return { sources, tags: register.numbers().size, watches: Object.keys(watches).length };
}
