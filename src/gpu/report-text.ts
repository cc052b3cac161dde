import type { GpuReport, ProviderReport } from './check-providers.ts';
import type { ModelCheck } from './provider-check.ts';

const MIB = 1_048_576;

/** Returns the report for a terminal. @param table Aligns columns. */
export function reportText(
  { box, providers, ok }: GpuReport,
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => string,
): string {
  const list = (items: readonly string[]) => (items.length === 0 ? 'none' : items.join(', '));
  return [
    `andon ${box.andon}, ONNX Runtime ${box.onnxRuntime}, Linux ${box.kernel} ${box.architecture}, ${box.processor}`,
    `NVIDIA driver   ${box.driver ?? 'none'}`,
    `GPUs            ${list(box.gpus)}`,
    `device files    ${list(box.devices)}`,
    `CUDA libraries  ${box.libraries ?? 'not installed (andon gpu install)'}`,
    ...providers.flatMap((provider) => ['', ...providerLines(provider, table)]),
    '',
    ok
      ? 'Every provider that works gives the results of the CPU, and falls back to it.'
      : 'A provider fails or differs from the CPU: do not list it in models.executionProviders. Send the report with your question.',
  ].join('\n');
}

function providerLines(
  { provider, reason, models, recoveries }: ProviderReport,
  table: Parameters<typeof reportText>[1],
): readonly string[] {
  if (reason !== undefined) return [`${provider}: not used: ${reason}`];
  const head = ['model', 'p50 ms', 'p99 ms', 'rows/s', 'host MiB', 'GPU MiB', 'difference', ''];
  const kills = (recoveries ?? []).map(
    ({ provider: used, afterMs, reason: why }, index) =>
      `host killed, ${index + 1}: ${used === undefined ? 'does not judge again' : `judges again on ${used} after ${afterMs} ms`}${why === '' ? '' : ` (${why})`}`,
  );
  return [`${provider}:`, table(head, models.map(modelCells)), ...kills];
}

function modelCells({ model, reason = '', largestDifference, figures }: ModelCheck): readonly string[] {
  const mebibytes = (bytes: number | undefined) => (bytes === undefined ? '–' : String(Math.round(bytes / MIB)));
  return [
    model,
    figures?.p50Ms.toFixed(3) ?? '–',
    figures?.p99Ms.toFixed(3) ?? '–',
    String(figures?.rowsPerSecond ?? '–'),
    mebibytes(figures?.residentBytes),
    mebibytes(figures?.gpuBytes),
    largestDifference?.toExponential(1) ?? '–',
    reason,
  ];
}
