import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { FleetBuckets } from '../../src/fleet/service/fleet-buckets.ts';
import type { ReportedState } from '../../src/fleet/fleet-states.ts';
import { packageArchive } from '../support/model-packages.ts';
import { NatsServer } from '../support/nats-server.ts';
import { meanModel } from '../support/onnx-models.ts';
import { describeWith } from '../support/programs.ts';
import { Daemon } from '../support/serving-daemon.ts';

type Fleet = {
  readonly server: NatsServer;
  readonly buckets: FleetBuckets;
  readonly daemon: Daemon;
  /** Resolves when the box reports a generation in a state. */
  readonly reported: (generation: number, state: ReportedState['state']) => Promise<ReportedState>;
  /** Stores a change of the box's own configuration as a configuration of the fleet. */
  readonly configuration: (change: (config: Config) => object) => Promise<string>;
};

type Config = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Sections that a box has of its own; a configuration for many boxes does not have them. */
const own = new Set(['agent', 'http', 'fleet']);

async function withFleet(run: (fleet: Fleet) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await NatsServer.start());
  const connection = stack.adopt(await server.connect(), (open) => open.close());
  const buckets = await FleetBuckets.open(connection, { replicas: 1 });
  const daemon = stack.use(
    await Daemon.startAgent({
      fleet: { url: server.url, reconnectMin: '20ms', reconnectMax: '200ms', variables: { hop: '400ms' } },
      models: { rollback: { within: '2s' } },
    }),
  );
  const reported: Fleet['reported'] = async (generation, state) => {
    const seen = await vi.waitUntil(
      async () => {
        const report = await buckets.reported('edge');
        return report?.generation === generation && report.state === state ? report : undefined;
      },
      { timeout: 60_000, interval: 50 },
    );
    return seen;
  };
  const configuration: Fleet['configuration'] = async (change) => {
    const all = parse(readFileSync(daemon.folder.configFile, 'utf8')) as Config;
    const shared = Object.fromEntries(Object.entries(all).filter(([key]) => !own.has(key)));
    return buckets.putFile(Buffer.from(stringify(change(shared))));
  };
  await run({ server, buckets, daemon, reported, configuration });
}

function withHop(config: Config, step: string): object {
  const { level } = config['watches'] ?? {};
  return { ...config, watches: { level: { ...(level as object), window: { step, maxAge: '10s' } } } };
}

describeWith(['nats-server'], 'a box of a fleet', () => {
  test('takes a configuration and a model, and reports ok after the probation', async () => {
    await withFleet(async ({ buckets, daemon, reported, configuration }) => {
      await reported(0, 'none');
      const text = await configuration((config) => withHop(config, '${hop}'));
      await buckets.setDesired('edge', { models: [], configuration: { sha256: text, variables: {} } });
      await reported(1, 'ok');
      const file = () => parse(readFileSync(daemon.folder.configFile, 'utf8')) as Config;
      expect(file()['watches']).toMatchObject({ level: { window: { step: '400ms' } } });
      // What the box had of its own is still there.
      expect(file()['agent']).toEqual({ id: 'edge' });
      expect(file()['http']).toEqual({ listen: '127.0.0.1:0' });

      const golden = [{ window: [0.5], score: 0.5 }];
      const archive = packageArchive({ name: 'echo', version: 2, bytes: meanModel(1, 1), steps: 1, tags: 1, golden });
      const sha256 = await buckets.putFile(archive);
      await buckets.setDesired('edge', { models: [{ name: 'echo', version: 2, sha256 }] });
      await reported(2, 'probation');
      const report = await reported(2, 'ok');
      expect(report.models).toEqual([{ name: 'echo', active: 2, drift: null }]);
      expect(report.health.status).toBe('ok');
    });
  });

  test('refuses what only a local edit may change and what does not pass the check, and keeps what it has', async () => {
    await withFleet(async ({ buckets, daemon, reported, configuration }) => {
      const before = readFileSync(daemon.folder.configFile, 'utf8');
      const set = async (change: (config: Config) => object) => {
        const sha256 = await configuration(change);
        return buckets.setDesired('edge', { models: [], configuration: { sha256, variables: {} } });
      };
      const trust = await set((config) => ({
        ...config,
        models: { ...config['models'], trust: { keys: ['mine.pub'] } },
      }));
      expect((await reported(trust, 'failed')).reason).toContain('models.trust: only a local edit may change this key');
      const unknown = await set((config) => ({ ...config, wathces: {} }));
      expect((await reported(unknown, 'failed')).reason).toContain('wathces');
      const variable = await set((config) => withHop(config, '${speed}'));
      expect((await reported(variable, 'failed')).reason).toContain('speed have no value');
      expect(readFileSync(daemon.folder.configFile, 'utf8')).toBe(before);
      expect(await daemon.component('fleet')).toMatchObject({ status: 'degraded' });
    });
  });

  test('works on while the fleet is away, and continues when it is back', async () => {
    await withFleet(async ({ server, buckets, daemon, reported, configuration }) => {
      await reported(0, 'none');
      await server.kill();
      await vi.waitFor(async () => expect((await daemon.component('fleet'))?.reason).toContain('onnection'), {
        timeout: 60_000,
      });
      await server.begin();
      await vi.waitFor(async () => expect((await daemon.component('fleet'))?.status).toBe('ok'), { timeout: 60_000 });
      // The connection of the test returns, too.
      await vi.waitFor(() => buckets.desired('edge'), { timeout: 60_000 });
      const sha256 = await configuration((config) => withHop(config, '350ms'));
      await buckets.setDesired('edge', { models: [], configuration: { sha256, variables: {} } });
      await reported(1, 'ok');
    });
  });
});
