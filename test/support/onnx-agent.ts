import { SystemClock } from '../../src/platform/clock.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { testDeps } from './test-deps.ts';

/*
 * A process to be killed: starts the host, sets it to a run of minutes, prints the host's pid.
 * Arguments: URL of the host's entry, model directory with the model `loop`.
 */
const [entry = '', directory = ''] = process.argv.slice(2);
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
