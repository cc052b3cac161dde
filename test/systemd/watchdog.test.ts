import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { FaultShim } from '../faults/fault-shim.ts';
import { Recorder } from '../support/broker-recorder.ts';
import { CrashPlant } from '../support/crash-plant.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';

/** Receives notifications as systemd does: a line for each state, and barriers are released. */
const listener = `
import os, socket, sys
notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notifications.bind(sys.argv[1])
print('LISTENING', flush=True)
while True:
    data, fds, _, _ = socket.recv_fds(notifications, 4096, 8)
    for fd in fds: os.close(fd)
    print(data.decode(), flush=True)
`;

class NotifySocket implements AsyncDisposable {
  readonly states = new Recorder<string>();
  readonly path: string;
  readonly #child;

  constructor(path: string) {
    this.path = path;
    this.#child = spawn('python3', ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(this.#child.stdout).on('line', (line) => this.states.push(line));
  }

  fed(): number {
    return this.states.items.filter((state) => state === 'WATCHDOG=1').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/*
 * The daemon with a listener on NOTIFY_SOCKET, which expects a watchdog message every three seconds.
 *
 * Invariant: READY=1 comes once it watches; WATCHDOG=1 keeps coming while everything turns, also with devices and uplinks
 * away; and once a part stands still for good, which from outside looks quite alive, it comes no more.
 */
describeWith(['systemd-notify', 'python3', 'gcc'], 'the watchdog', () => {
  const WATCHDOG_MS = 3_000;

  test('is fed while all turns, with a device and an uplink away, until the goodbye', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    await using systemd = new NotifySocket(join(folder.path, 'notify'));
    await systemd.states.when((state) => state === 'LISTENING');
    const { sources, models } = plant.sections('100ms');
    const away = { ...sources.plc, url: 'tcp://127.0.0.1:1', tags: { other: sources.plc.tags.level } };
    const uplinks = { gone: { type: 'http', url: 'http://127.0.0.1:1/none' } };
    folder.configure({ models, sources: { ...sources, away }, uplinks, watches: { level: watchOfLevel } });
    await using agent = await AgentProcess.start(folder.configFile, environment(systemd.path));

    await systemd.states.when((state) => state === 'READY=1');
    // Both are in one message, but the socket's reader may deliver them in two chunks.
    await systemd.states.when((state) => state.startsWith('STATUS=1 watches on '));
    await expect.poll(() => systemd.fed()).toBeGreaterThan(4);
    expect(await agent.end('SIGTERM')).toBe(0);
    await systemd.states.when((state) => state === 'STOPPING=1');
  });

  test('is no longer fed once the storage hangs, although everything else continues', async () => {
    await using plant = await CrashPlant.start();
    using folder = new AgentFolder();
    await using systemd = new NotifySocket(join(folder.path, 'notify'));
    await systemd.states.when((state) => state === 'LISTENING');
    using disk = new FaultShim('outbox.db');
    folder.configure({ ...plant.sections('100ms'), watches: { level: watchOfLevel } });
    await using agent = await AgentProcess.start(folder.configFile, { ...environment(systemd.path), ...disk.env });
    await expect.poll(() => systemd.fed()).toBeGreaterThan(1);

    // As a dead disk does: the storage thread waits in an fsync that does not return.
    disk.set('fsyncDelayMs', 3_600_000);
    const withheld = () =>
      agent.log.filter(({ msg, part }) => msg.includes('stands still') && part === 'outbox').length;
    // After the second time, a sign of life from before the first has arrived.
    await expect.poll(withheld).toBeGreaterThan(1);

    const fed = systemd.fed();
    const scanned = plant.plc.requests.length;
    await expect.poll(() => plant.plc.requests.length).toBeGreaterThan(scanned + 20);
    expect(systemd.fed()).toBe(fed);
    expect((await fetch(`${agent.httpUrl}/healthz`)).status).toBe(200);
  });

  function environment(socket: string): NodeJS.ProcessEnv {
    return { NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(WATCHDOG_MS * 1000) };
  }
});

const watchOfLevel = { model: 'echo', tags: ['level'], window: { step: '100ms', maxAge: '5s' } };
