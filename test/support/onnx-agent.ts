import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/*
 * A process to be killed: starts the host, sets it to a run of minutes, prints the host's pid.
 * Arguments: URL of the host's entry, model directory with the model `loop`, and `without-setpriv`
 * for a machine that does not have this program.
 */
const [entry = '', directory = '', machine] = process.argv.slice(2);
if (machine === 'without-setpriv') {
  const { existsSync } = fs;
  fs.existsSync = (path) => path !== '/usr/bin/setpriv' && existsSync(path);
  syncBuiltinESMExports();
}
const { SystemClock } = await import('../../src/platform/clock.ts');
const { SupervisedInferenceHost } = await import('../../src/runtime/supervised-host.ts');
const { modelsConfigSchema } = await import('../../src/models/store/models-config.ts');
const { testDeps } = await import('./test-deps.ts');

const clock = new SystemClock();
const loop = { name: 'loop', version: undefined };
const host = new SupervisedInferenceHost({
  entry: new URL(entry),
  config: modelsConfigSchema.parse({ directory, deadline: '10m' }),
  models: [loop],
  deps: testDeps(clock),
});
host.start();
waitUntilReady();

function waitUntilReady(): void {
  if (host.ready(loop) === undefined) {
    clock.setTimer(waitUntilReady, 10);
    return;
  }
  void host.run(loop, { window: { type: 'float32', dims: [1, 1, 1], data: Float32Array.of(1e9) } });
  console.log(host.hostPid());
}
