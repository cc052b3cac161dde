import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sandboxArguments } from '../../src/service/sandbox-run.ts';
import { parseUnit } from '../../src/service/unit-settings.ts';

const shipped = readFileSync(join(import.meta.dirname, '../../systemd/andon.service'), 'utf8');
const dropIn = '[Service]\nPrivateDevices=no\nDeviceAllow=/dev/nvidia0 rw\nDeviceAllow=/dev/nvidiactl rw\n';

test('a command runs with the user, devices, system calls and memory of the service, and not with its start', () => {
  const args = sandboxArguments(parseUnit([shipped, dropIn]), ['node', 'andon.js', 'gpu', 'check']);
  expect(args.slice(-4)).toEqual(['node', 'andon.js', 'gpu', 'check']);
  for (const property of [
    'User=andon',
    'PrivateDevices=no',
    'DeviceAllow=/dev/nvidia0 rw',
    'DeviceAllow=/dev/nvidiactl rw',
    'SystemCallFilter=@system-service',
    'SystemCallFilter=~@privileged @resources',
    'CapabilityBoundingSet=',
    'MemoryMax=80%',
    'ProtectSystem=strict',
  ])
    expect(args).toContain(`--property=${property}`);
  const keys = args.flatMap((arg) => /^--property=(\w+)=/.exec(arg)?.[1] ?? []);
  for (const key of ['ExecStart', 'Type', 'WatchdogSec', 'Restart', 'WantedBy', 'StateDirectory', 'LoadCredential'])
    expect(keys).not.toContain(key);
});
