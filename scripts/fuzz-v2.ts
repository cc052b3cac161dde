import process from 'node:process';
import { fuzzBounds, fuzzV2 } from '../test/support/v2-fuzz.ts';

/*
 * A million hostile requests to `/v2` over sockets: broken JSON, shapes and lengths that lie, deep nesting, wrong types, bombs.
 * `npm run fuzz -- [requests] [seed]`; exit 1 where one was not answered or one of the bounds did not hold.
 */
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
const bounded =
  report.residentBytesGrowth <= fuzzBounds.residentBytesGrowth && report.loopDelayMsP99 < fuzzBounds.loopDelayMsP99;
process.exitCode = report.faults.length === 0 && bounded ? 0 : 1;
