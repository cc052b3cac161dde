import { LiveEvents } from '../contracts/live-events.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import type { SourceHistory, Source } from '../contracts/source.ts';
import { modelServerConfig } from '../serving/serving-config.ts';
import { LocalToken } from '../web/access/local-token.ts';
import { agentEndpoint } from '../http/agent-endpoint.ts';
import { ModelServer } from '../serving/model-server.ts';
import { ActivationMonitor } from '../runtime/activation-monitor.ts';
import { versionLedger } from '../registry/version-ledger.ts';
import { VersionRegistry } from '../registry/version-registry.ts';
import { sharedWithWatches } from '../models/store/serving.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { RolloutHosts } from '../runtime/rollout-hosts.ts';
import { HistoryStorage } from '../outbox/history-storage.ts';
import { Outbox } from '../outbox/outbox.ts';
import { SampleHistoryStore } from '../outbox/sample-history.ts';
import { AlarmService } from '../pipeline/alarm-service.ts';
import { DerivedTags } from '../pipeline/derived-tags.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import { windowPlan } from '../pipeline/watch.ts';
import { watchAlarms } from '../pipeline/verdict-alarm.ts';
import { AlarmFloodMonitor } from '../pipeline/alarm-flood.ts';
import { DiagnosticMonitor, storedDiagnosticAlarm } from '../pipeline/diagnostic-monitor.ts';
import { limitAlarms } from '../pipeline/limit-monitor.ts';
import { formatModelReference } from '../domain/model/model-reference.ts';
import { Recorder } from '../pipeline/recorder.ts';
import { Learning } from '../learning/learning.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { Tag } from '../domain/sample/tag.ts';
import type { TrainingJob } from '../learning/training-job.ts';
import { trainInProcess } from '../learning/training-process.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { bindWatch } from '../config/watch-binding.ts';
import { Rollouts } from '../rollout/rollouts.ts';
import type { SystemClock } from '../platform/clock.ts';
import { environmentWithout } from '../platform/child-environment.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import type { ServiceManager } from '../platform/systemd-notify.ts';
import { WallClockMonitor } from '../platform/wall-clock-monitor.ts';
import { Publisher } from '../uplinks/publisher.ts';
import { SparkplugEdgeNode } from '../uplinks/sparkplug/sparkplug-edge-node.ts';
import type { LoadedConfig } from '../config/config-file.ts';
import {
  historyWorkerEntry,
  inferenceHostEntry,
  modelServerEntry,
  storageWorkerEntry,
  trainingHostEntry,
} from '../platform/entries.ts';
import { createSource, createUplink } from '../config/kinds.ts';
import { modelUses, watchIncompatibilities } from '../config/model-watches.ts';
import { packageVersion } from '../platform/package-version.ts';
import { recordInterests } from './record-interests.ts';
import { keptTags } from '../config/config-tags.ts';
import { TagRegister } from '../config/tag-register.ts';
import { rolloutJournal } from './rollout-journal.ts';
import { Watchdog, type WatchedPart } from './watchdog.ts';

export type AgentDeps = Deps & { readonly clock: SystemClock };

/** A running agent; disposal stops it cleanly, producers first. */
export type RunningAgent = AsyncDisposable & {
  /** URL of the HTTP endpoint; undefined while it is not listening. */
  readonly httpUrl: () => string | undefined;
  /** One line for `systemctl status`. */
  readonly summary: string;
};

/**
 * Starts the agent. This composition root shows the whole flow: it creates the parts in the order in which they depend on
 * each other, then starts consumers before producers. Disposal runs in reverse, so that the last samples of the sources
 * reach the disk.
 *
 * @param events Live events, for a caller that must receive the first ones.
 */
// oxlint-disable-next-line max-lines-per-function -- The whole flow is in one function on purpose.
export async function startAgent(
  loaded: LoadedConfig,
  deps: AgentDeps,
  manager: ServiceManager,
  events = new LiveEvents(),
): Promise<RunningAgent> {
  const { config } = loaded;
  const agentId = config.agent.id;
  const watches = new Map(Object.entries(config.watches));
  const watched = [...watches.values()].map(({ model }) => model);
  const identity = { agentId, version: packageVersion };
  const register = new TagRegister(config);
  const { tags } = register;
  const { diagnostic } = config.alarms;
  const tagNumbers = register.numbers();
  const wanted = recordInterests(config);
  const localToken = new LocalToken(config.outbox.path, deps.log);
  await using stack = new AsyncDisposableStack();

  const outbox = stack.use(
    new Outbox({ agentId, entry: storageWorkerEntry, config: config.outbox, uplinks: wanted, deps }),
  );
  const historyStorage = stack.use(new HistoryStorage({ entry: historyWorkerEntry, config: config.outbox, deps }));
  const history = stack.use(
    new SampleHistoryStore({
      storage: historyStorage,
      tags,
      keeps: keptTags(config),
      lost: (samples, reason) => outbox.lost(samples, reason),
      deps,
    }),
  );
  const inference = stack.use(
    new SupervisedInferenceHost({
      entry: inferenceHostEntry,
      config: config.models,
      models: watched,
      incompatibilities: (manifest) => watchIncompatibilities(config, manifest),
      serves: sharedWithWatches(config.models, watched),
      deps,
    }),
  );
  const serving = modelServerConfig(config);
  const modelServer =
    serving === undefined
      ? undefined
      : stack.use(
          new ModelServer({
            entry: modelServerEntry,
            env: environmentWithout({ ...config, http: undefined, serving: undefined, models: undefined }),
            settings: {
              ...identity,
              serving,
              localToken: localToken.secret,
              models: config.models,
              watched,
              logLevel: config.log.level,
            },
            agent: {
              models: () => inference.clients.snapshot(),
              run: async ({ model, inputs }) => {
                const result = await inference.clients.run(model, inputs);
                return { ...result, manifest: { ...result.manifest, golden: [] } };
              },
              load: (model) => inference.clients.load(model),
              unload: (model) => inference.clients.unload(model),
            },
            deps,
          }),
        );
  const clientModels = async (): Promise<readonly ModelStatus[]> => (await modelServer?.statuses()) ?? [];
  const rolloutHosts = stack.use(new RolloutHosts({ entry: inferenceHostEntry, config: config.models, deps }));
  const activations = stack.use(
    new ActivationMonitor({
      directory: config.models.directory,
      names: () => inference.statuses().map(({ name }) => name),
      clock: deps.clock,
    }),
  );
  const ownModels = (): readonly ModelStatus[] => [...inference.statuses(), ...rolloutHosts.statuses()];
  const registry = stack.use(
    new VersionRegistry({
      entry: inferenceHostEntry,
      config: config.models,
      inUse: async () => modelUses(config, [...ownModels(), ...(await clientModels())]),
      incompatibilities: (manifest) => watchIncompatibilities(config, manifest),
      onActivated: () => activations.report(),
      deps,
    }),
  );
  const ledger = versionLedger(config.models.directory, registry, deps.clock);
  const rollouts = stack.use(
    new Rollouts({
      watches,
      inference,
      models: rolloutHosts,
      ledger,
      journal: rolloutJournal(config.outbox.path, deps.log),
      rules: config.models.rollback,
      deps,
    }),
  );
  const recorder = stack.use(new Recorder({ records: outbox, deps }));
  const alarms = stack.use(
    new AlarmService({
      definitions: [...watchAlarms(watches), ...limitAlarms(config.limits)],
      definitionOf: diagnostic === 'off' ? () => undefined : storedDiagnosticAlarm,
      records: outbox,
      recorder,
      events,
      deps,
    }),
  );
  const pipeline = stack.use(
    new Pipeline({
      tags,
      derived: new DerivedTags(config.derived, tags),
      watches,
      limits: config.limits,
      inference,
      rollouts,
      recorder,
      history,
      events,
      ...(config.publish === undefined ? {} : { tagEventsMs: config.publish.tagIntervalMs }),
      sampleRecords: wanted.some(({ kinds }) => kinds.includes('sample')),
      alarms,
      deps,
    }),
  );
  const flood = stack.use(new AlarmFloodMonitor(events, deps));
  const diagnostics =
    diagnostic === 'off'
      ? undefined
      : stack.use(
          new DiagnosticMonitor({
            config: diagnostic,
            neededBy: neededByWatches(watches, tags),
            limits: pipeline.limits,
            alarms,
            recorder,
            deps,
          }),
        );
  const learning = stack.use(
    new Learning({
      watches,
      inference,
      directory: ModelDirectory.of(config.models),
      ledger,
      registry,
      propose: (model, version) => rollouts.propose(model, version),
      board: pipeline,
      history,
      maxAgeMs: (watch) => windowPlan(watch, 1).maxAgeMs,
      train: (watch, fromMs, toMs, signal) =>
        trainInProcess(trainingHostEntry, trainingJob(config, watch, fromMs, toMs), signal),
      deps,
    }),
  );
  const uplinks = Object.entries(config.uplinks).map(([id, uplink]) =>
    stack.use(createUplink({ id, agentId, config: uplink, records: outbox, deps })),
  );
  const publisher =
    config.publish === undefined
      ? undefined
      : stack.use(new Publisher({ agentId, config: config.publish, events, alarms, deps }));
  const edgeNode =
    config.sparkplug === undefined
      ? undefined
      : stack.use(new SparkplugEdgeNode({ agentId, config: config.sparkplug, events, board: pipeline, alarms, deps }));
  const http = stack.use(
    agentEndpoint({
      config: config.http,
      identity,
      alarms,
      flood: () => flood.flood(),
      board: pipeline,
      rollouts,
      learning,
      records: outbox,
      history,
      models: () =>
        clientModels().then(
          (clients) => ({ statuses: [...ownModels(), ...clients], incomplete: undefined }),
          (error: unknown) => ({ statuses: ownModels(), incomplete: errorMessage(error) }),
        ),
      events,
      modelRegistry: { desk: registry, receiveDeadlineMs: config.models.receiveDeadlineMs },
      modelServerAddress: () => modelServer?.address,
      localToken: localToken.secret,
      deps,
    }),
  );
  const clockMonitor = stack.use(
    new WallClockMonitor({
      clock: deps.clock,
      log: deps.log,
      metrics: deps.metrics,
      onJump: (leadMs) => pipeline.clockJumped(leadMs),
    }),
  );
  const sources = new Map(
    Object.entries(config.sources).map(([id, source]) => [
      id,
      stack.use(
        createSource({
          id,
          config: source,
          tagNumbers,
          bindTag: (pattern, name) => register.bind(id, pattern, name),
          sink: pipeline,
          history: sourceHistory(history),
          deps,
        }),
      ),
    ]),
  );
  const watchdog = stack.use(new Watchdog(parts(outbox, inference, sources), manager, deps));

  await outbox.start();
  historyStorage.start();
  await alarms.start();
  // Before any model is loaded, so that a rejected version judges no window.
  await rollouts.start();
  inference.start();
  activations.start(() => {
    inference.reload();
    modelServer?.reload();
    rollouts.review();
  });
  recorder.start();
  pipeline.start();
  for (const uplink of uplinks) uplink.start();
  publisher?.start();
  edgeNode?.start();
  await localToken.write();
  await http.start();
  modelServer?.start();
  clockMonitor.start();
  for (const source of sources.values()) source.start();
  learning.start();
  diagnostics?.start();
  watchdog.start();

  const started = stack.move();
  const summary = `${watches.size} watches on ${tagNumbers.size} tags from ${sources.size} sources`;
  deps.log.info(
    { agent: agentId, http: http.url, sources: sources.size, tags: tagNumbers.size, watches: watches.size },
    'Started.',
  );
  return { httpUrl: () => http.url, summary, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Returns the health components that each watch needs to judge: its sources and its model. */
function neededByWatches(
  watches: ReadonlyMap<string, WatchConfig>,
  tags: readonly Tag[],
): Map<string, readonly string[]> {
  const sourceOf = new Map(tags.map(({ name, source }) => [name, source]));
  return new Map(
    [...watches].map(([id, { tags: names, model }]) => [
      `watch/${id}`,
      ['inference', `model/${formatModelReference(model)}`, ...names.map((name) => `source/${sourceOf.get(name)}`)],
    ]),
  );
}

function trainingJob(config: AgentConfig, watch: string, fromMs: EpochMs, toMs: EpochMs): TrainingJob {
  const { watch: watchConfig, tags } = bindWatch(config, watch);
  return { watch, config: watchConfig, tags, models: config.models, outboxPath: config.outbox.path, fromMs, toMs };
}

/** Returns the history as one source uses it: `stored` rejects if samples were lost since its last call. */
function sourceHistory(history: SampleHistoryStore): SourceHistory {
  let lost = history.lost;
  return {
    add: (batch) => history.add(batch),
    stored: async () => {
      await history.flush();
      const lostNow = history.lost - lost;
      lost = history.lost;
      if (lostNow === 0 && !history.isRefused) return;
      const text = history.isRefused
        ? 'The history cannot be written now, and samples wait in memory'
        : `${lostNow} samples could not be stored in the history`;
      throw new OperatingError('samples-not-stored', 'retry', text);
    },
  };
}

/** Returns the parts that the watchdog monitors. */
function parts(
  outbox: Outbox,
  inference: SupervisedInferenceHost,
  sources: ReadonlyMap<string, Source>,
): readonly WatchedPart[] {
  return [
    { name: 'outbox', lastTickMs: () => outbox.lastTickMs() },
    { name: 'inference', lastTickMs: () => inference.lastTickMs() },
    ...[...sources].map(([id, source]) => ({ name: `source/${id}`, lastTickMs: () => source.lastTickMs() })),
  ];
}
