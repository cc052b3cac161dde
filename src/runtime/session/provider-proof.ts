import { readFile } from 'node:fs/promises';
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
  const events: unknown = JSON.parse(await readFile(path, 'utf8'));
  for (const event of Array.isArray(events) ? events : []) {
    const provider = computingProvider(event);
    if (provider !== undefined) counts[provider] = (counts[provider] ?? 0) + 1;
  }
  return counts;
}

/** @returns Undefined if the profile event is not from a computing node. */
function computingProvider(event: unknown): string | undefined {
  if (typeof event !== 'object' || event === null || !('args' in event)) return undefined;
  const { args } = event;
  if (typeof args !== 'object' || args === null || !('provider' in args)) return undefined;
  if ('op_name' in args && typeof args.op_name === 'string' && idleOperators.has(args.op_name)) return undefined;
  return typeof args.provider === 'string' ? args.provider : undefined;
}

/** Returns true if any node ran on the provider. */
export function ranOn(provider: ExecutionProvider, counts: Readonly<Record<string, number>>): boolean {
  return (counts[profileNames[provider]] ?? 0) > 0;
}
