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
 * Counts the node executions of a profile by the provider they really ran on, leaving out what only moves data.
 *
 * A session made for a GPU runs without a word on the CPU where no kernel of the graph fits the device
 * (`session.disable_cpu_ep_fallback` would refuse that, but refuses as well the few shape operators that ONNX
 * Runtime always puts on the CPU, and with them most exported models). The profile is the only account of it.
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

/** Undefined where the event of the profile is not that of a node that computes. */
function computingProvider(event: unknown): string | undefined {
  if (typeof event !== 'object' || event === null || !('args' in event)) return undefined;
  const { args } = event;
  if (typeof args !== 'object' || args === null || !('provider' in args)) return undefined;
  if ('op_name' in args && typeof args.op_name === 'string' && idleOperators.has(args.op_name)) return undefined;
  return typeof args.provider === 'string' ? args.provider : undefined;
}

/** Whether anything was computed on the provider. */
export function ranOn(provider: ExecutionProvider, counts: Readonly<Record<string, number>>): boolean {
  return (counts[profileNames[provider]] ?? 0) > 0;
}
