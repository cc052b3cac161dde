import { resolve } from 'node:path';
import type { ConfigurationEditor } from '../http/configuration-editor.ts';
import { LiveEvents } from '../contracts/live-events.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import { OperatorAudit } from '../web/access/operator-audit.ts';
import { LocalToken } from '../web/access/local-token.ts';
import type { ModelServer } from '../serving/model-server.ts';
import { ActivationMonitor } from '../runtime/activation-monitor.ts';
import { StoredModelCatalogue } from '../registry/stored-model-catalogue.ts';
import { ModelTryOut } from '../registry/proof/model-try-out.ts';
import { versionLedger } from '../registry/version-ledger.ts';
import { VersionRegistry } from '../registry/version-registry.ts';
import { isServedBy, watchHosts } from '../models/store/serving.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { RolloutHosts } from '../runtime/rollout-hosts.ts';
import { HistoryStorage } from '../outbox/history-storage.ts';
import { Outbox } from '../outbox/outbox.ts';
import { SampleHistoryStore } from '../outbox/sample-history.ts';
import { AlarmService } from '../pipeline/alarm-service.ts';
import { DerivedTags } from '../pipeline/derived-tags.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import { windowPlan } from '../pipeline/watch.ts';
import { AlarmFloodMonitor } from '../pipeline/alarm-flood.ts';
import { DiagnosticMonitor, storedDiagnosticAlarm } from '../pipeline/diagnostic-monitor.ts';
import { Recorder } from '../pipeline/recorder.ts';
import { Learning } from '../learning/learning.ts';
import { Trainings } from '../learning/trainings.ts';
import { trainInProcess } from '../learning/training-process.ts';
import { ModelDirectory } from '../models/store/model-directory.ts';
import type { EpochMs } from '../domain/epoch-ms.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import { Rollouts } from '../rollout/rollouts.ts';
import type { SystemClock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage } from '../platform/errors.ts';
import type { ServiceManager } from '../platform/systemd-notify.ts';
import { WallClockMonitor } from '../platform/wall-clock-monitor.ts';
import { Publisher } from '../uplinks/publisher.ts';
import { SparkplugEdgeNode } from '../uplinks/sparkplug/sparkplug-edge-node.ts';
import type { LoadedConfig } from '../config/config-file.ts';
import { historyWorkerEntry, inferenceHostEntry, storageWorkerEntry, trainingHostEntry } from '../platform/entries.ts';
import { loadKinds, type UplinkConfig } from '../config/kinds.ts';
import { modelUses, watchIncompatibilities } from '../config/model-watches.ts';
import type { RecentLog } from '../platform/log.ts';
import { packageVersion } from '../platform/package-files.ts';
import type { ConfigChanges } from './config-changes.ts';
import { AgentMaintenance } from './agent-maintenance.ts';
import { fleetParts } from './fleet-parts.ts';
import { modelServerParts } from './model-server-parts.ts';
import { notifyParts } from './notify-parts.ts';
import { outputParts } from './output-parts.ts';
import { Parts } from './parts.ts';
import { recordInterests } from './record-interests.ts';
import {
  alarmsOf,
  blindAfterMs,
  delivering,
  diagnosticSettings,
  modelsOf,
  pipelineConfig,
  numbersOf,
  sizesOf,
  sourceOverviews,
  tagsNextTo,
  trainingJob,
  watchesOf,
} from './part-settings.ts';
import { keptTags, waveformNames } from '../config/config-tags.ts';
import { TagRegister } from '../config/tag-register.ts';
import { rolloutJournal } from './rollout-journal.ts';
import { sourceParts, waveformAnalyzer } from './source-parts.ts';
import { monitored, Watchdog } from './watchdog.ts';
import { WatchStateMonitor } from './watch-state-monitor.ts';

export type AgentDeps = Deps & {
  readonly clock: SystemClock;
  /** The last lines of the log. */
  readonly recentLog: RecentLog;
};

/** A running agent; disposal stops it cleanly, producers first. */
export type RunningAgent = AsyncDisposable & {
  /** URL of the HTTP endpoint; undefined while it is not listening. */
  readonly httpUrl: () => string | undefined;
  /** Returns one line for `systemctl status`. */
  readonly summary: () => string;
  /**
   * Applies another configuration to the parts that it changes. The others keep running.
   *
   * @param changes From the present configuration to `next`; `restart` is empty.
   * @returns Keys of the parts that were ended or replaced.
   */
  readonly change: (next: AgentConfig, changes: ConfigChanges) => Promise<readonly string[]>;
  /** Returns the sources with a good value that is not older than `sinceMs`. */
  readonly delivering: (sinceMs: EpochMs) => ReadonlySet<string>;
};

/**
 * Starts the agent. This composition root shows the whole flow: it creates the parts in the order in which they depend on
 * each other, then starts consumers before producers. Disposal runs in reverse, so that the last samples of the sources
 * reach the disk.
 *
 * @param editor Reads and changes the file of the configuration over HTTP.
 * @param events Live events, for a caller that must receive the first ones.
 */
// oxlint-disable-next-line max-lines-per-function -- The whole flow is in one function on purpose.
export async function startAgent(
  loaded: LoadedConfig,
  deps: AgentDeps,
  manager: ServiceManager,
  editor: ConfigurationEditor,
  events = new LiveEvents(),
): Promise<RunningAgent> {
  // Replaced when the agent changes. `agent`, `models` and `outbox` stay the same until it ends.
  let { config } = loaded;
  const kinds = await loadKinds();
  let keeps = keptTags(config);
  const agentId = config.agent.id;
  const identity = { agentId, version: packageVersion };
  const register = new TagRegister(config);
  const { tags } = register;
  const localToken = new LocalToken(config.outbox.path, deps.log);
  await using stack = new AsyncDisposableStack();
  const audit = stack.use(new OperatorAudit(config.outbox.path, config.audit, deps));

  const outbox = stack.use(
    new Outbox({ agentId, entry: storageWorkerEntry, config: config.outbox, uplinks: recordInterests(config), deps }),
  );
  // Its threads and the inference host start while this thread loads and creates the other parts.
  const outboxStarted = outbox.start();
  // It is awaited below. If a part fails before, that error counts.
  outboxStarted.catch(() => undefined);
  const historyStorage = stack.use(new HistoryStorage({ entry: historyWorkerEntry, config: config.outbox, deps }));
  const history = stack.use(
    new SampleHistoryStore({
      storage: historyStorage,
      tags,
      keeps: (tag) => keeps(tag),
      lost: (samples, reason) => outbox.lost(samples, reason),
      deps,
    }),
  );
  const rolloutsStarted = Promise.withResolvers<void>();
  const inference = stack.use(
    new SupervisedInferenceHost({
      entry: inferenceHostEntry,
      config: config.models,
      models: modelsOf(config),
      incompatibilities: (manifest) => watchIncompatibilities(config, manifest),
      serves: (name) => isServedBy(watchHosts(config.models, modelsOf(config)), config.models, name),
      // A version that a rollout has rejected must not judge a window.
      loadsAfter: rolloutsStarted.promise,
      deps,
    }),
  );
  // A load does not wait for a start that failed.
  stack.defer(rolloutsStarted.resolve);
  inference.start();
  const modelServers = stack.use(
    modelServerParts({ config: () => config, identity, localToken: localToken.secret, inference, deps }),
  );
  const modelServer = (): ModelServer | undefined => modelServers.get('serving');
  const clientModels = async (): Promise<readonly ModelStatus[]> => (await modelServer()?.statuses()) ?? [];
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
      audit: config.audit,
      inUse: async () => modelUses(config, [...ownModels(), ...(await clientModels())]),
      incompatibilities: (manifest) => watchIncompatibilities(config, manifest),
      onActivated: () => activations.report(),
      deps,
    }),
  );
  const ending = new AbortController();
  stack.defer(() => ending.abort());
  const tryOuts = new ModelTryOut({ entry: inferenceHostEntry, config: config.models, deps, signal: ending.signal });
  const ledger = versionLedger(config.models.directory, registry, deps.clock);
  const rollouts = stack.use(
    new Rollouts({
      watches: watchesOf(config),
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
      definitions: alarmsOf(config),
      definitionOf: (stored) => (config.alarms.diagnostic === 'off' ? undefined : storedDiagnosticAlarm(stored)),
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
      ...pipelineConfig(config),
      inference,
      rollouts,
      recorder,
      history,
      events,
      alarms,
      deps,
    }),
  );
  const flood = stack.use(new AlarmFloodMonitor(events, deps));
  const diagnostics = stack.use(
    new Parts({
      wanted: (next) => ({ alarms: diagnosticSettings(next) }),
      create: (settings) => new DiagnosticMonitor({ ...settings, limits: pipeline.limits, alarms, recorder, deps }),
    }),
  );
  const trainings = stack.use(
    new Trainings({
      watches: () => watchesOf(config),
      registry,
      train: (request, signal, onProgress) =>
        trainInProcess(trainingHostEntry, trainingJob(config, request), signal, onProgress),
      deps,
    }),
  );
  const learning = stack.use(
    new Learning({
      watches: watchesOf(config),
      inference,
      directory: ModelDirectory.of(config.models),
      ledger,
      registry,
      propose: (model, version) => rollouts.propose(model, version),
      board: pipeline,
      tagsNextTo: (watch) => tagsNextTo(config, watch),
      paths: { config: resolve(loaded.file), models: config.models.directory },
      history,
      maxAgeMs: (watch) => windowPlan(watch, 1).maxAgeMs,
      // A short `learn.for` is the decision of the user. The model has a warning, so that it is not activated without a person.
      train: (watch, fromMs, toMs, signal) => trainings.train({ watch, fromMs, toMs, force: true }, 'agent', signal),
      deps,
    }),
  );
  const watchStates = stack.use(
    new WatchStateMonitor({ board: pipeline, learning, blindAfterMs: () => blindAfterMs(config), events, deps }),
  );
  const uplinks = stack.use(
    new Parts({
      section: 'uplinks',
      wanted: (next) => next.uplinks,
      create: (uplink: UplinkConfig, id) =>
        kinds.createUplink({ id, agentId, config: uplink, records: outbox.readers, deps }),
    }),
  );
  const outputs = outputParts({
    agentId,
    alarms,
    watches: watchStates,
    limits: pipeline.limits,
    events,
    records: outbox,
    audit,
    deps,
  });
  stack.use(outputs.parts);
  const notify = notifyParts({ agentId, outboxPath: config.outbox.path, records: outbox.readers, deps });
  for (const parts of notify.parts) stack.use(parts);
  const maintenance = stack.use(
    new AgentMaintenance({ file: loaded.file, config: () => config, uplinks, outbox, deps }),
  );
  const publishers = stack.use(
    new Parts({
      wanted: ({ publish }) => ({ publish }),
      create: (publish) => new Publisher({ agentId, config: publish, events, alarms, watches: watchStates, deps }),
    }),
  );
  const edgeNodes = stack.use(
    new Parts({
      wanted: ({ sparkplug }) => ({ sparkplug }),
      create: (sparkplug) =>
        new SparkplugEdgeNode({ agentId, config: sparkplug, events, board: pipeline, alarms, deps }),
    }),
  );
  const waveforms = stack.use(waveformAnalyzer({ config: () => config, pipeline, deps }));
  const { agentEndpoint } = await import('../http/agent-endpoint.ts');
  const endpoints = stack.use(
    new Parts({
      wanted: ({ http }) => ({ http }),
      create: (http) =>
        agentEndpoint({
          config: http,
          identity,
          location: config.agent.location,
          alarms,
          flood: () => flood.flood(),
          board: pipeline,
          rollouts,
          summaries: watchStates,
          records: outbox,
          outboxPath: config.outbox.path,
          maintenance,
          annotations: outbox.annotations,
          history,
          waveforms,
          models: () =>
            clientModels().then(
              (clients) => ({ statuses: [...ownModels(), ...clients], incomplete: undefined }),
              (error: unknown) => ({ statuses: ownModels(), incomplete: errorMessage(error) }),
            ),
          events,
          catalogue: new StoredModelCatalogue(config.models),
          tryOuts,
          modelRegistry: { desk: registry, trainings, receiveDeadlineMs: config.models.receiveDeadlineMs },
          modelServerAddress: () => modelServer()?.address,
          localToken: localToken.secret,
          editor,
          sources: () => sourceOverviews(config, tags, pipeline.tags(), sources),
          audit,
          deps,
        }),
    }),
  );
  const fleet = stack.use(
    fleetParts(() => config, { editor, registry, ledger, ownModels, pipeline, alarms, outbox, audit, deps }),
  );
  const clockMonitor = stack.use(
    new WallClockMonitor({
      clock: deps.clock,
      log: deps.log,
      metrics: deps.metrics,
      onJump: (leadMs) => pipeline.clockJumped(leadMs),
    }),
  );
  const sources = stack.use(sourceParts({ config: () => config, pipeline, kinds, register, history, waveforms, deps }));
  const watchdog = stack.use(new Watchdog(() => monitored(outbox, inference, sources.entries()), manager, deps));
  // Consumers before producers, as they start. They end in reverse order.
  const replaceable = [
    uplinks,
    outputs.parts,
    ...notify.parts,
    publishers,
    edgeNodes,
    endpoints,
    fleet,
    modelServers,
    sources,
    diagnostics,
  ];
  await outputs.load(config);
  await notify.load(config);
  for (const parts of replaceable) parts.create(config);

  await outboxStarted;
  historyStorage.start();
  await alarms.start();
  await rollouts.start();
  rolloutsStarted.resolve();
  activations.start(() => {
    inference.reload();
    modelServer()?.reload();
    rollouts.review();
  });
  recorder.start();
  pipeline.start();
  await localToken.write();
  void audit.record(undefined, 'start', loaded.file, { version: packageVersion });
  clockMonitor.start();
  for (const parts of replaceable) await parts.start();
  learning.start();
  watchStates.start();
  watchdog.start();

  /** Applies another configuration. Everything between the first and the last `await` happens in one turn of the event loop. */
  const changeNow: RunningAgent['change'] = async (next, changes) => {
    const endedWatches = new Set([...changes.watches.changed, ...changes.watches.removed]);
    const ended: string[] = [];
    await outputs.load(next);
    await notify.load(next);
    for (const parts of replaceable.toReversed()) ended.push(...(await parts.end(next)));
    await outbox.readers.change(recordInterests(next));
    await pipeline.endWatches(endedWatches);
    config = next;
    waveforms.keep(waveformNames(config));
    keeps = keptTags(config);
    const renewed = register.change(config);
    history.change();
    inference.reload(modelsOf(config));
    alarms.define(alarmsOf(config), 'end');
    rollouts.change(watchesOf(config), endedWatches);
    pipeline.change(pipelineConfig(config), config.derived, {
      untouchedLimits: changes.limits.untouched,
      changedTags: changes.tags,
      renewed: new Set([...renewed, ...numbersOf(changes.tags, register)]),
    });
    learning.change(watchesOf(config), endedWatches);
    for (const parts of replaceable) parts.create(config);
    modelServer()?.reload();
    edgeNodes.get('sparkplug')?.rebirth();
    for (const parts of replaceable) await parts.start();
    publishers.get('publish')?.prune();
    const replaced = [...ended, ...[...endedWatches].map((id) => `watches.${id}`)];
    void audit.record(undefined, 'configuration', loaded.file, { replaced });
    return replaced;
  };

  const started = stack.move();
  const httpUrl = (): string | undefined => endpoints.get('http')?.url;
  const sizes = () => sizesOf(config, sources.entries().length, register);
  deps.log.info({ agent: agentId, http: httpUrl(), ...sizes() }, 'Started.');
  return {
    httpUrl,
    summary: () => `${sizes().watches} watches on ${sizes().tags} tags from ${sizes().sources} sources`,
    change: (next, changes) => maintenance.turns.take(() => changeNow(next, changes)),
    delivering: (sinceMs) => delivering(tags, pipeline.tags(), sinceMs),
    [Symbol.asyncDispose]: () => maintenance.turns.take(() => started.disposeAsync()),
  };
}
