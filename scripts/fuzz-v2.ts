import process from 'node:process';
import { fuzzBounds, fuzzV2 } from '../test/support/v2-fuzz.ts';

/*
 * Sends a million hostile requests to `/v2` over sockets: broken JSON, wrong shapes and lengths, deep nesting, wrong types, compression bombs.
 * `npm run fuzz -- [requests] [seed]`; exit 1 if a request was not answered or a bound was exceeded.
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
