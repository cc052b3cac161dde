import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { ExecutionProvider } from '../../contracts/inference.ts';

/** ONNX Runtime's own names, as its profile has them. */
const profileNames = {
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
  cpu: 'CPUExecutionProvider',
} as const satisfies Record<ExecutionProvider, string>;

/** They run on a device without computing anything there. */
const idleOperators = new Set([
  'MemcpyToHost',
  'MemcpyFromHost',
  'Shape',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
]);

/** Event of a node in the profile. */
const computedNode = z.object({ args: z.object({ provider: z.string(), op_name: z.string().optional() }) });

/**
 * Counts the node executions of a profile by the provider that ran them, without nodes that only move data.
 *
 * A session for a GPU silently runs on the CPU if no kernel of the graph fits the device. The option
 * `session.disable_cpu_ep_fallback` refuses that, but also the few shape operators that ONNX Runtime always runs on the
 * CPU, and so most exported models. Only the profile shows the provider in use.
 *
 * @param path The JSON file that `endProfiling` wrote.
 */
export async function nodesByProvider(path: string): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const event of z
    .array(z.unknown())
    .catch([])
    .parse(JSON.parse(await readFile(path, 'utf8')))) {
    const node = computedNode.safeParse(event).data?.args;
    if (node === undefined || idleOperators.has(node.op_name ?? '')) continue;
    counts[node.provider] = (counts[node.provider] ?? 0) + 1;
  }
  return counts;
}

/** Returns true if any node ran on the provider. */
export function ranOn(provider: ExecutionProvider, counts: Readonly<Record<string, number>>): boolean {
  return (counts[profileNames[provider]] ?? 0) > 0;
}
