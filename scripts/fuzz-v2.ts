import process from 'node:process';
import { fuzzV2 } from '../test/support/v2-fuzz.ts';

/*
 * A million hostile requests to `/v2` over sockets: broken JSON, shapes and lengths that lie, deep nesting, wrong types, bombs.
 * `node scripts/fuzz-v2.ts [requests] [seed]`; exit 1 where one was not answered or one of the bounds did not hold.
 */
const RESIDENT_BYTES_GROWTH_MAX = 16 * 1_048_576;
const LOOP_DELAY_MS_MAX = 50;

const requests = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? 1);
const report = await fuzzV2({
  seed,
  requests,
  warmUp: Math.min(50_000, requests),
  onProgress: (done) => process.stderr.write(`\r${done}`),
});
process.stderr.write('\n');
for (const fault of report.faults) console.log(fault);
console.log(JSON.stringify({ seed, ...report, faults: report.faults.length }, undefined, 2));
const bounded = report.residentBytesGrowth <= RESIDENT_BYTES_GROWTH_MAX && report.loopDelayMsP99 < LOOP_DELAY_MS_MAX;
process.exitCode = report.faults.length === 0 && bounded ? 0 : 1;
