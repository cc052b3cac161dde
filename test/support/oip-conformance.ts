import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { modelsConfigSchema } from '../../src/models/store/models-config.ts';
import { SupervisedInferenceHost } from '../../src/runtime/supervised-host.ts';
import { BareOnnx } from './bare-onnx.ts';
import type { Tensor } from '../../src/contracts/inference.ts';
import { type NamedTensor, oipInfer } from './oip-client.ts';
import { OipGrpcClient } from './oip-grpc-client.ts';
import { difference, type OnnxCase } from './onnx-cases.ts';
import { testDeps } from './test-deps.ts';
import { V2Server } from './v2-server.ts';

/** Over HTTP, and over gRPC with raw and typed contents. */
const forms = ['json', 'binary', 'raw', 'typed'] as const;
type Form = (typeof forms)[number];

export type ConformanceReport = {
  readonly cases: number;
  /** Cases that onnxruntime-node itself passes. */
  readonly bare: number;
  /** Number of these that also pass through the endpoint. */
  readonly passed: Readonly<Record<Form, number>>;
  /** Cases that the runtime passes and the endpoint does not. */
  readonly lost: readonly { readonly name: string; readonly form: Form | 'load'; readonly reason: string }[];
};

/**
 * Runs test cases through onnxruntime-node alone, and each that it passes through the whole of andon's serving: model
 * directory, inference host in its process, endpoint over a socket; over HTTP in JSON and in the binary form, over gRPC with raw and
 * typed contents.
 */
export async function runConformance(cases: readonly OnnxCase[]): Promise<ConformanceReport> {
  const bareOnnx = await BareOnnx.load();
  const directory = mkdtempSync(join(tmpdir(), 'andon-conformance-'));
  const deps = testDeps();
  await using host = new SupervisedInferenceHost({
    entry: new URL('../../src/hosts/inference-host.ts', import.meta.url),
    config: modelsConfigSchema.parse({ directory, deadline: '20s' }),
    models: [],
    deps,
  });
  host.start();
  await using server = await V2Server.start(host.clients, {
    maxBody: '64MB',
    requestTimeout: '60s',
    grpc: '127.0.0.1:0',
  });
  using client = new OipGrpcClient(server.grpcAddress);
  let passing = 0;
  const passed = { json: 0, binary: 0, raw: 0, typed: 0 };
  const lost: { name: string; form: Form | 'load'; reason: string }[] = [];
  try {
    for (const [index, each] of cases.entries()) {
      const bare = await bareOnnx.run(each);
      if (!bare.passed) continue;
      passing += 1;
      const name = `case-${index}`;
      install(directory, name, readFileSync(each.modelPath));
      try {
        await host.clients.load({ name, version: undefined });
      } catch (error) {
        lost.push({ name: each.name, form: 'load', reason: String(error) });
        continue;
      }
      for (const form of forms) {
        const reason = await tried(each, bare, (inputs) =>
          form === 'json' || form === 'binary'
            ? oipInfer(`${server.url}/v2/models/${name}/infer`, inputs, form)
            : client.infer(name, inputs, form),
        );
        if (reason === undefined) passed[form] += 1;
        else lost.push({ name: each.name, form, reason });
      }
      await host.clients.unload({ name, version: undefined });
      rmSync(join(directory, name), { recursive: true });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { cases: cases.length, bare: passing, passed, lost };
}

/** @returns The failure; undefined if every output of every data set is as expected. */
async function tried(
  { dataSets }: OnnxCase,
  { inputNames, outputNames }: { readonly inputNames: readonly string[]; readonly outputNames: readonly string[] },
  infer: (inputs: readonly NamedTensor[]) => Promise<Map<string, Tensor>>,
): Promise<string | undefined> {
  try {
    for (const { inputs, outputs } of dataSets) {
      const named = inputs.map((tensor, index) => ({ name: inputNames[index] ?? '', tensor }));
      const found = await infer(named);
      for (const [index, expected] of outputs.entries()) {
        const name = outputNames[index] ?? '';
        const wrong = difference(found.get(name), expected);
        if (wrong !== undefined) return `'${name}' ${wrong}`;
      }
    }
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function install(directory: string, name: string, bytes: Uint8Array): void {
  const folder = join(directory, name, '1');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(folder, 'model.yaml'), stringify({ name, version: 1, task: 'other', sha256, golden: [] }));
  writeFileSync(join(directory, name, 'active'), '1\n');
}
