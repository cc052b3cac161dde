import { defineConfig } from 'vitest/config';
import { ProgramsReporter } from './test/support/programs-reporter.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'screen/test/**/*.test.{ts,tsx}'],
    globalSetup: ['test/support/built-screen.ts'],
    // The suite must fit a two-core box. A test with real brokers, devices and daemons uses about half a core, and waits otherwise.
    maxWorkers: 3,
    // Guards, not waits: a test ends on its events. They hold at a load of 20 on two cores.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
    // Tests that load onnxruntime-node themselves must not report to its maker either.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    reporters: ['default', new ProgramsReporter()],
  },
});
