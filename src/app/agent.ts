import { LiveEvents } from '../contracts/live-events.ts';
import type { ModelStatus } from '../contracts/inference.ts';
import type { SourceHistory } from '../contracts/source.ts';
import type { Tag } from '../domain/sample/tag.ts';
import { modelServerConfig } from '../serving/serving-config.ts';
import { agentEndpoint } from '../http/agent-endpoint.ts';
import { ModelServer } from '../serving/model-server.ts';
import { ActivationMonitor } from '../runtime/activation-monitor.ts';
import { versionLedger } from '../registry/version-ledger.ts';
import { VersionRegistry } from '../registry/version-registry.ts';
import { sharedWithWatches } from '../models/store/serving.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { RolloutHosts } from '../runtime/rollout-hosts.ts';
import type { Source } from '../contracts/source.ts';
import { Outbox } from '../outbox/outbox.ts';
import { SampleHistoryStore } from '../outbox/sample-history.ts';
import { AlarmService } from '../pipeline/alarm-service.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import { Recorder } from '../pipeline/recorder.ts';
import { Rollouts } from '../rollout/rollouts.ts';
import type { WatchConfig } from '../pipeline/watch-config.ts';
import type { SystemClock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { errorMessage, OperatingError } from '../platform/errors.ts';
import type { ServiceManager } from '../platform/systemd-notify.ts';
import { WallClockMonitor } from '../platform/wall-clock-monitor.ts';
import { Publisher } from '../uplinks/publisher.ts';
import { SparkplugEdgeNode } from '../uplinks/sparkplug/sparkplug-edge-node.ts';
import type { LoadedConfig } from '../config/config-file.ts';
import { inferenceHostEntry, modelServerEntry, storageWorkerEntry } from '../platform/entries.ts';
import { createSource, createUplink } from '../config/kinds.ts';
import { modelUses, watchMisfits } from '../config/model-watches.ts';
import { packageVersion } from '../platform/package-version.ts';
import { recordInterests } from './record-interests.ts';
import { TagRegister } from '../config/tag-register.ts';
import { rolloutJournal } from './rollout-journal.ts';
import type { WatchedPart } from './watchdog.ts';
import { Watchdog } from './watchdog.ts';

export type AgentDeps = Deps & { readonly clock: SystemClock };

/** A running agent; disposal stops it cleanly, producers first. */
export type RunningAgent = AsyncDisposable & {
  /** Where HTTP listens; undefined while it does not. */
  readonly httpUrl: () => string | undefined;
  /** One line for `systemctl status`. */
  readonly summary: string;
};

/**
 * The composition root: whoever reads this function has seen the whole flow. Wiring first; then the order, consumers
 * before producers. Disposal runs backwards, so that what a source still delivers finds its way to the disk.
 *
 * @param events For a caller that wants to hear the first of them.
 */
// oxlint-disable-next-line max-lines-per-function -- That the whole flow is in one function is its point.
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
  const tagNumbers = register.numbers();
  const wanted = recordInterests(config);
  await using stack = new AsyncDisposableStack();

  const outbox = stack.use(
    new Outbox({ agentId, entry: storageWorkerEntry, config: config.outbox, uplinks: wanted, deps }),
  );
  const history = stack.use(
    new SampleHistoryStore({ storage: outbox.samples, tags: historyTags(tags, watches), deps }),
  );
  const inference = stack.use(
    new SupervisedInferenceHost({
      entry: inferenceHostEntry,
      config: config.models,
      models: watched,
      incompatibilities: (manifest) => watchMisfits(config, manifest),
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
            settings: { ...identity, serving, models: config.models, watched, logLevel: config.log.level },
            agent: {
              models: () => inference.snapshot(),
              run: async ({ model, inputs }) => {
                const result = await inference.run(model, inputs, 'client');
                return { ...result, manifest: { ...result.manifest, golden: [] } };
              },
              load: (model) => inference.load(model),
              unload: (model) => inference.unload(model),
            },
            deps,
          }),
        );
  const clientModels = async (): Promise<readonly ModelStatus[]> => (await modelServer?.statuses()) ?? [];
  const rolloutHosts = stack.use(new RolloutHosts({ entry: inferenceHostEntry, config: config.models, deps }));
  const onActivated = (): void => {
    inference.reload();
    modelServer?.reload();
    rollouts.review();
  };
  const ownModels = (): readonly ModelStatus[] => [...inference.statuses(), ...rolloutHosts.statuses()];
  const library = stack.use(
    new VersionRegistry({
      entry: inferenceHostEntry,
      config: config.models,
      inUse: async () => modelUses(config, [...ownModels(), ...(await clientModels())]),
      misfits: (manifest) => watchMisfits(config, manifest),
      onActivated,
      deps,
    }),
  );
  const rollouts: Rollouts = stack.use(
    new Rollouts({
      watches,
      inference,
      models: rolloutHosts,
      ledger: versionLedger(config.models.directory, library, deps.clock),
      journal: rolloutJournal(config.outbox.path, deps.log),
      rules: config.models.rollback,
      deps,
    }),
  );
  const activations = stack.use(
    new ActivationMonitor({
      directory: config.models.directory,
      names: () => inference.statuses().map(({ name }) => name),
      clock: deps.clock,
      onChange: onActivated,
    }),
  );
  const recorder = stack.use(new Recorder({ records: outbox, deps }));
  const alarms = stack.use(new AlarmService({ watches, records: outbox, recorder, events, deps }));
  const pipeline = stack.use(
    new Pipeline({
      tags,
      watches,
      inference,
      rollouts,
      recorder,
      history,
      events,
      sampleRecords: wanted.some(({ kinds }) => kinds.includes('sample')),
      alarms,
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
      board: pipeline,
      rollouts,
      records: outbox,
      history,
      models: () =>
        clientModels().then(
          (clients) => ({ statuses: [...ownModels(), ...clients], incomplete: undefined }),
          (error: unknown) => ({ statuses: ownModels(), incomplete: errorMessage(error) }),
        ),
      events,
      modelRegistry: { desk: library, receiveDeadlineMs: config.models.receiveDeadlineMs },
      modelServerAddress: () => modelServer?.address,
      deps,
    }),
  );
  const clockWatch = stack.use(
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
  await alarms.start();
  // Before any model is loaded, so that none decides that was rejected.
  await rollouts.start();
  inference.start();
  activations.start();
  recorder.start();
  pipeline.start();
  for (const uplink of uplinks) uplink.start();
  publisher?.start();
  edgeNode?.start();
  await http.start();
  modelServer?.start();
  clockWatch.start();
  for (const source of sources.values()) source.start();
  watchdog.start();

  const started = stack.move();
  const summary = `${watches.size} watches on ${tagNumbers.size} tags from ${sources.size} sources`;
  deps.log.info(
    { agent: agentId, http: http.url, sources: sources.size, tags: tagNumbers.size, watches: watches.size },
    'Started.',
  );
  return { httpUrl: () => http.url, summary, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Tags of the watches: what models are trained on, and what a chart of a verdict shows. */
function historyTags(tags: readonly Tag[], watches: ReadonlyMap<string, WatchConfig>): readonly Tag[] {
  const watched = new Set([...watches.values()].flatMap((watch) => watch.tags));
  return tags.filter(({ name }) => watched.has(name));
}

/** For one source: whether anything was lost since it last asked. */
function sourceHistory(history: SampleHistoryStore): SourceHistory {
  let lost = history.lost;
  return {
    add: (batch) => history.add(batch),
    stored: async () => {
      await history.flush();
      const lostNow = history.lost - lost;
      lost = history.lost;
      if (lostNow === 0) return;
      const text = `${lostNow} samples could not be stored in the history`;
      throw new OperatingError('samples-not-stored', 'retry', text);
    },
  };
}

/** What must keep moving for the service to count as alive. */
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
