import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { TestModelDirectory } from '../support/onnx-directory.ts';
import { HostHarness, hostEntry, meanOf4x2, until } from '../support/onnx-host-harness.ts';
import { loopModel } from '../support/onnx-models.ts';

const loop = { name: 'loop', bytes: loopModel(), steps: 1, tags: 1, golden: [{ window: [3], score: 3 }] };

test('what a killed agent left in the temporary folder is gone once another starts; a living one keeps its own', async () => {
  using directory = new TestModelDirectory([loop]);
  const temporary = mkdtempSync(join(tmpdir(), 'andon-test-'));
  const staged = () => readdirSync(temporary).filter((name) => name.startsWith('andon-models-'));
  vi.stubEnv('TMPDIR', temporary);
  try {
    await using living = new HostHarness([meanOf4x2]);
    await living.ready('mean');
    const own = staged();
    expect(own).toHaveLength(1);
    const support = new URL('../support/onnx-agent.ts', import.meta.url).pathname;
    const agent = spawn(process.execPath, [support, hostEntry.href, directory.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(agent, 'exit');
    await once(agent.stdout, 'data');
    agent.kill('SIGKILL');
    await exited;
    expect(staged()).toHaveLength(2);
    await using next = new HostHarness([]);
    await until(
      () => staged().length === 1,
      () => `${staged().join(', ')} of ${next.directory.path}`,
    );
    expect(staged()).toEqual(own);
  } finally {
    vi.unstubAllEnvs();
    rmSync(temporary, { recursive: true });
  }
});
