import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, test } from 'vitest';
import { tensorCodecEntry } from '../../../src/platform/entries.ts';
import { TensorCodec } from '../../../src/serving/v2/tensor-codec.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';

/** A thread that ends at the first thing it is asked, as one does that V8 ends for its memory. */
const dying = new URL(
  'data:text/javascript,import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(3));',
);
const large = () => Buffer.from(JSON.stringify({ inputs: [], note: 'x'.repeat(100_000) }));

test('a thread that dies over a request costs that request, and the next one has a thread again', async () => {
  const deps = testDeps();
  await using codec = new TensorCodec({ entry: dying, bodyBytesMax: 1_000_000, deps });
  for (const restarts of [1, 2]) {
    await expect(codec.decode(large(), undefined)).rejects.toMatchObject({ code: 'infer-busy', disposition: 'retry' });
    expect(await metricValue(deps, 'andon_http_codec_restarts_total')).toBe(restarts);
  }
});

test('requests that wait for the thread end with the server', async () => {
  const deaf = new URL('data:text/javascript,setInterval(() => {}, 1000)');
  const codec = new TensorCodec({ entry: deaf, bodyBytesMax: 1_000_000, deps: testDeps() });
  const waiting = Promise.allSettled([codec.decode(large(), undefined)]);
  await codec[Symbol.asyncDispose]();
  expect(await waiting).toMatchObject([{ status: 'rejected', reason: { code: 'infer-busy' } }]);
});

test.runIf(process.platform === 'linux')('the thread gives way to the ones that work for the watches', async () => {
  await using codec = new TensorCodec({ entry: tensorCodecEntry, bodyBytesMax: 1_000_000, deps: testDeps() });
  expect(await codec.decode(large(), undefined)).toMatchObject({ inputs: {} });
  const own = getPriority();
  expect(nicenesses().filter((niceness) => niceness === own + 10)).toHaveLength(1);
  expect(nicenesses().filter((niceness) => niceness === own).length).toBeGreaterThan(1);
});

/** Returns the nice value of each thread of this process. */
function nicenesses(): readonly number[] {
  return readdirSync('/proc/self/task').map((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    // Field 19; the second one is a name in brackets that may hold anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}
