import process from 'node:process';
import type { AgentProtocol, ModelServerProtocol } from '../contracts/model-server.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { isServedBy } from '../models/store/serving.ts';
import { SystemClock } from '../platform/clock.ts';
import { type Deps, systemDeps } from '../platform/deps.ts';
import { inferenceHostEntry, tensorCodecEntry } from '../platform/entries.ts';
import { Health } from '../platform/health.ts';
import type { LogLevel } from '../domain/log-level.ts';
import { relayingLogger, silentLogger } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import { RpcClient, serveRpc } from '../platform/rpc.ts';
import { parentProcessPort } from '../platform/rpc-ports.ts';
import { WallClockMonitor } from '../platform/wall-clock-monitor.ts';
import { ActivationMonitor } from '../runtime/activation-monitor.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { ClientModels } from '../serving/client-models.ts';
import type { ChangingSettings, ModelServerSettings } from '../serving/model-server-settings.ts';
import { servingEndpoint } from '../serving/serving-endpoint.ts';
import { requestResources } from '../serving/v2/request-resources.ts';
import { NICENESS, setNiceness } from './lower-priority.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry of the model server: the process that serves models to clients, on its own port and in inference hosts of its own.
 * It has a lower priority than the agent, is killed first if memory runs out, and ends with the agent.
 */
setOomScore(600);
setNiceness(NICENESS);
// Ctrl-C reaches the whole process group, and systemd may signal the whole unit; the agent ends its model server itself.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

/** Longest time that it may take to end after the agent has disconnected. */
const STOP_DEADLINE_MS = 3_000;

type Settings = ModelServerSettings<ModelsConfig>;

type Serving = {
  readonly models: SupervisedInferenceHost;
  readonly clients: ClientModels;
  readonly deps: Deps;
  readonly stack: AsyncDisposableStack;
};

const port = parentProcessPort();
const agent = new RpcClient<AgentProtocol>(port, new SystemClock());
let serving: Serving | undefined;
serveRpc<ModelServerProtocol>(port, {
  start: async ({ settings, changing }) => {
    // The agent is of the same program and version.
    serving = await start(settings as Settings, changing as ChangingSettings);
  },
  ping: () => undefined,
  statuses: () => serving?.models.statuses() ?? [],
  metrics: () => serving?.deps.metrics.values() ?? [],
  reload: (changing) => {
    if (serving !== undefined) applySettings(serving, changing as ChangingSettings);
  },
});
process.once('disconnect', () => {
  // The process must end even if a handle was forgotten or a disposal hangs.
  const end = (): void => void process.kill(process.pid, 'SIGKILL');
  new SystemClock().setTimer(end, STOP_DEADLINE_MS, { background: true });
  void (serving?.stack.disposeAsync() ?? Promise.resolve()).finally(end);
});

function applySettings({ models, clients, deps }: Serving, { watched, logLevel }: ChangingSettings): void {
  deps.log.level = logLevel;
  clients.change(watched);
  models.reload();
}

async function start(settings: Settings, { watched, logLevel }: ChangingSettings): Promise<Serving> {
  const { models: config, watchHosts } = settings;
  await using stack = new AsyncDisposableStack();
  const deps = relayingDeps(logLevel, stack);
  const own = stack.use(
    new SupervisedInferenceHost({
      entry: inferenceHostEntry,
      config,
      serves: (name) => !isServedBy(watchHosts, config, name),
      deps,
    }),
  );
  const activations = stack.use(
    new ActivationMonitor({
      directory: config.directory,
      names: () => own.statuses().map(({ name }) => name),
      clock: deps.clock,
    }),
  );
  const clients = new ClientModels({ own: own.clients, agent, config, watchHosts, watched, clock: deps.clock });
  const resources = requestResources(tensorCodecEntry, settings.serving.maxBodyBytes, deps);
  stack.use(resources.codec);
  const endpoint = stack.use(
    servingEndpoint({
      settings,
      models: clients,
      resources,
      onListening: (url) => send(agent.call('listening', url)),
      deps,
    }),
  );
  own.start();
  activations.start(() => own.reload());
  await endpoint.start();
  if (settings.serving.grpc !== undefined) {
    // Loaded only if it is configured.
    const { GrpcServer } = await import('../serving/grpc/grpc-server.ts');
    const grpc = stack.use(
      new GrpcServer({ settings, listen: settings.serving.grpc, models: clients, resources, deps }),
    );
    await grpc.start();
  }
  return { models: own, clients, deps, stack: stack.move() };
}

/** Log lines and health go to the agent. */
function relayingDeps(logLevel: LogLevel, stack: AsyncDisposableStack): Deps {
  const { clock, random } = systemDeps();
  const log = relayingLogger(logLevel, (line) => send(agent.call('log', line)));
  const metrics = new Metrics();
  // The agent has a metric for each component that is reported to it; a second one here would be added to that.
  const health = new Health({ clock, log, metrics: new Metrics() }, (change) => send(agent.call('health', change)));
  const clockMonitor = stack.use(
    new WallClockMonitor({ clock, log: silentLogger(), metrics: new Metrics(), onJump: () => undefined }),
  );
  clockMonitor.start();
  return { clock, random, log, metrics, health };
}

/** Without an agent there is no receiver, and this process is about to end. */
function send(call: Promise<void>): void {
  call.catch(() => undefined);
}
