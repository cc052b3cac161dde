import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { setPriority } from 'node:os';
import process from 'node:process';
import type { FastifyInstance } from 'fastify';
import type { AgentProtocol, GatewayProtocol } from '../contracts/gateway.ts';
import { forward } from '../web/forward.ts';
import type { GatewaySettings } from '../serving/gateway/gateway-settings.ts';
import { TAKE_PORT } from '../serving/gateway/gateway-settings.ts';
import { httpApp } from '../web/http-app.ts';
import { isHandedOn, privateAcceptor } from '../web/private-connections.ts';
import { registerV2Routes } from '../serving/v2-routes.ts';
import { GatewayModels } from '../serving/gateway-models.ts';
import { ActivationMonitor } from '../runtime/activation-monitor.ts';
import type { ModelsConfig } from '../models/store/models-config.ts';
import { sharedWithWatches } from '../models/store/serving.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import { SystemClock } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { entryFile } from '../platform/entry-file.ts';
import { invariant } from '../platform/errors.ts';
import { Health } from '../platform/health.ts';
import { relayingLogger, silentLogger } from '../platform/log.ts';
import { Metrics } from '../platform/metrics.ts';
import type { RpcPort } from '../platform/rpc.ts';
import { RpcClient, serveRpc } from '../platform/rpc.ts';
import { WallClockMonitor } from '../platform/wall-clock-monitor.ts';
import { NICENESS } from './lower-priority.ts';
import { setOomScore } from './set-oom-score.ts';

/*
 * Entry of the gateway, the process that serves models to clients: it accepts every connection of the agent's HTTP endpoint,
 * answers what is asked of models, in inference hosts of its own, and hands everything else on to the agent. It gives way to
 * the agent's own process in all things, and ends with it.
 */
setOomScore(600);
try {
  setPriority(NICENESS);
} catch {
  // On a system without priorities it works as well.
}
// Ctrl-C reaches the whole process group, and systemd may signal the whole unit; the agent ends its gateway itself.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

/** Longest that it may take to end, once the agent has let go of it. */
const STOP_DEADLINE_MS = 3_000;

type Settings = GatewaySettings<ModelsConfig>;

const port = agentPort();
const agent = new RpcClient<AgentProtocol>(port, new SystemClock());
let serving: Serving | undefined;
serveRpc<GatewayProtocol>(port, {
  prepare: async (settings) => {
    // From the agent, which is our own program.
    serving = await prepare(settings as Settings);
  },
  ping: () => undefined,
  statuses: () => serving?.models.statuses() ?? [],
  metrics: () => serving?.deps.metrics.values() ?? [],
  reload: () => serving?.models.reload(),
});
process.on('message', (message, listening) => {
  // Without a handle Node would listen at a port of its own choice.
  if (message === TAKE_PORT && listening !== undefined) serving?.app.server.listen(listening as Server);
});
process.once('disconnect', () => {
  // What hangs is ended by the agent, or where that is gone too, by this; and nothing that was forgotten keeps the process.
  const end = (): void => void process.kill(process.pid, 'SIGKILL');
  new SystemClock().setTimer(end, STOP_DEADLINE_MS, { background: true });
  void (serving?.stack.disposeAsync() ?? Promise.resolve()).finally(end);
});

type Serving = {
  readonly app: FastifyInstance;
  readonly models: SupervisedInferenceHost;
  readonly deps: Deps;
  readonly stack: AsyncDisposableStack;
};

/** Everything but the port. */
async function prepare(settings: Settings): Promise<Serving> {
  const { models: config, watched } = settings;
  await using stack = new AsyncDisposableStack();
  const deps = gatewayDeps(settings, stack);
  const isShared = sharedWithWatches(config, watched);
  const own = stack.use(
    new SupervisedInferenceHost({
      entry: entryFile(import.meta.url, './inference-host.ts'),
      config,
      serves: (name) => !isShared(name),
      deps,
    }),
  );
  const activations = stack.use(
    new ActivationMonitor({
      directory: config.directory,
      names: () => own.statuses().map(({ name }) => name),
      clock: deps.clock,
      onChange: () => own.reload(),
    }),
  );
  const app = await gatewayApp(settings, new GatewayModels({ own, agent, config, watched, clock: deps.clock }), deps);
  stack.defer(() => app.close());
  own.start();
  activations.start();
  await app.ready();
  const fromAgent = privateAcceptor(app.server);
  stack.defer(() => void fromAgent.close());
  // One that was killed leaves its own behind.
  if (process.platform !== 'win32') await rm(settings.gatewayPath, { force: true });
  await once(fromAgent.listen(settings.gatewayPath), 'listening');
  return { app, models: own, deps, stack: stack.move() };
}

function gatewayApp(
  { http, identity, models, agentPath }: Settings,
  inference: GatewayModels,
  deps: Deps,
): Promise<FastifyInstance> {
  return httpApp({
    config: http,
    identity,
    receiveDeadlineMs: models.receiveDeadlineMs,
    first: (request, reply, done) => {
      // What the agent has handed on is not handed back.
      if (!request.is404 || isHandedOn(request.raw)) return done();
      reply.hijack();
      forward(request.raw, reply.raw, { socketPath: agentPath, closes: false, clock: deps.clock });
    },
    routes: (app, adminToken) =>
      registerV2Routes(app, {
        inference,
        codecEntry: entryFile(import.meta.url, './tensor-codec.ts'),
        version: identity.version,
        bodyBytesMax: http.maxBodyBytes,
        generation: http.generation,
        adminToken,
        deps,
      }),
    deps,
  });
}

/** Logs and health are the agent's to tell. */
function gatewayDeps({ logLevel }: Settings, stack: AsyncDisposableStack): Deps {
  const clock = new SystemClock();
  const tell = (told: Promise<unknown>): void => void told.catch(() => undefined);
  const log = relayingLogger(logLevel, (line) => tell(agent.call('log', line)));
  const metrics = new Metrics();
  // The agent counts what it is told: a second count here would be added to its own.
  const health = new Health({ clock, log, metrics: new Metrics() }, (change) => tell(agent.call('health', change)));
  const clockWatch = stack.use(
    new WallClockMonitor({ clock, log: silentLogger(), metrics: new Metrics(), onJump: () => undefined }),
  );
  clockWatch.start();
  return { clock, random: () => randomBytes(4).readUInt32LE() / 2 ** 32, log, metrics, health };
}

function agentPort(): RpcPort {
  invariant(process.send !== undefined, 'the gateway is started by fork');
  const send = process.send.bind(process);
  return {
    post: (message) => {
      // Where the agent is gone, nobody is left to be told.
      if (process.connected) send(message, () => undefined);
    },
    onMessage: (listener) => process.on('message', listener),
  };
}
