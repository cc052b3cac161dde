import process from 'node:process';
import { onnxCases, onnxCasesDirectory } from '../test/support/onnx-cases.ts';
import { runConformance } from '../test/support/oip-conformance.ts';

/*
 * Runs the backend test cases of the ONNX project through onnxruntime-node alone and through andon, over HTTP and gRPC. Every case that the
 * runtime passes must pass. Needs Debian's package libonnx-testdata. `node scripts/conformance.ts`
 */
const cases = onnxCases();
if (cases.length === 0) console.error(`Nothing in ${onnxCasesDirectory}: install libonnx-testdata.`);
const { bare, passed, lost } = await runConformance(cases);
for (const { name, form, reason } of lost) console.log(`${name} (${form}): ${reason}`);
console.log(`cases ${cases.length}, onnxruntime-node passes ${bare}, through andon ${JSON.stringify(passed)}`);
process.exitCode = cases.length > 0 && lost.length === 0 ? 0 : 1;
