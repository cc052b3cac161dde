import { expect, test } from 'vitest';
import { onnxCases, onnxCasesDirectory } from '../support/onnx-cases.ts';
import { runConformance } from '../support/oip-conformance.ts';
import { describeWith } from '../support/programs.ts';

/*
 * A thousand models with inputs and outputs, made by the ONNX project to test runtimes. Every result that onnxruntime-node alone
 * gets right must be right through the model directory, the inference host and the endpoint, over HTTP in JSON and in
 * the binary form, and over gRPC with raw and typed contents: then nothing between socket and session changes a value, a type or a shape.
 */
describeWith([onnxCasesDirectory], "the ONNX project's backend tests", () => {
  test('pass through the endpoint if the runtime passes them', { timeout: 300_000 }, async () => {
    const { cases, bare, passed, lost } = await runConformance(onnxCases());
    console.log(`ONNX cases ${cases}: onnxruntime-node passes ${bare}, through andon ${JSON.stringify(passed)}`);
    expect(lost).toEqual([]);
    expect(bare).toBeGreaterThan(900);
  });
});
