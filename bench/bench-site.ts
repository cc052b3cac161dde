import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBrokerProcess } from '../src/plant/broker-process.ts';
import { Mosquitto } from '../test/support/mosquitto.ts';
import { programPath } from '../test/support/programs.ts';
import type { DeviceProtocol } from './device.ts';
import { installAgent, installCommit } from './installed-agent.ts';
import { writeBenchModel } from './model.ts';
import { Peer } from './peer.ts';
import type { SubscriberProtocol } from './subscriber.ts';
import { writeWideModels } from './wide-model.ts';
import { DEVICES_MAX } from './workload.ts';

/** The environment of both agent and script: devices, broker, subscriber, a model directory and a folder. */
export class BenchSite implements AsyncDisposable {
  readonly folder: string;
  readonly agentProgram: string;
  /** Program of the other build, with `--compare`. */
  readonly baseProgram: string | undefined;
  readonly modelDirectory: string;
  readonly modelFile: string;
  readonly wideModelFile: string;
  readonly brokerName: string;
  readonly brokerUrl: string;
  /** One for each device. */
  readonly devicePorts: readonly number[];
  readonly device: Peer<DeviceProtocol>;
  readonly subscriber: Peer<SubscriberProtocol>;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    stack: AsyncDisposableStack,
    folder: string,
    programs: { readonly agent: string; readonly base: string | undefined },
    broker: { readonly name: string; readonly url: string },
    device: { readonly peer: Peer<DeviceProtocol>; readonly ports: readonly number[] },
    subscriber: Peer<SubscriberProtocol>,
  ) {
    this.#stack = stack;
    this.folder = folder;
    this.agentProgram = programs.agent;
    this.baseProgram = programs.base;
    this.modelDirectory = join(folder, 'models');
    this.modelFile = writeBenchModel(this.modelDirectory);
    this.wideModelFile = writeWideModels(this.modelDirectory);
    this.brokerName = broker.name;
    this.brokerUrl = broker.url;
    this.device = device.peer;
    this.devicePorts = device.ports;
    this.subscriber = subscriber;
  }

  /** @param base Commit of the other build to compare with. */
  static async start(base?: string): Promise<BenchSite> {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'andon-bench-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const programs = {
      agent: installAgent(join(folder, 'installed')),
      base: base === undefined ? undefined : installCommit(base, join(folder, 'base')),
    };
    const broker = await startBroker(stack);
    const device = stack.use(new Peer<DeviceProtocol>('device.ts'));
    const ports = await device.call('listen', { devices: DEVICES_MAX });
    const subscriber = stack.use(new Peer<SubscriberProtocol>('subscriber.ts'));
    await subscriber.call('subscribe', { url: broker.url });
    return new BenchSite(stack.move(), folder, programs, broker, { peer: device, ports }, subscriber);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function startBroker(stack: AsyncDisposableStack): Promise<{ readonly name: string; readonly url: string }> {
  if (programPath('mosquitto') === undefined) {
    const broker = stack.use(await startBrokerProcess(0));
    return { name: 'the embedded broker (mosquitto is not installed)', url: `mqtt://127.0.0.1:${broker.port}` };
  }
  // Without nodelay, messages to the subscriber wait for one another, up to 40 ms. Without a queue limit no backlog is cut.
  const lines = ['set_tcp_nodelay true', 'max_queued_bytes 0'];
  const broker = stack.use(await Mosquitto.start({ lines }));
  return { name: 'mosquitto', url: broker.url };
}
