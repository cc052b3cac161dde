import type { Activated, LatencyFigures, ModelProof } from '../../contracts/model-registry.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';

export function activatedJson(activated: Activated) {
  const { previous, proof } = activated;
  return { model: formatModelReference(activated), previous: previous ?? null, ...proofJson(proof) };
}

export function proofJson({ provider, golden, latency, sha256 }: ModelProof) {
  return { sha256, provider, golden, latency: latency ?? null };
}

export function activatedText(activated: Activated): string {
  const { previous, version, proof } = activated;
  const before = previous === undefined || previous === version ? '' : ` (previously ${previous})`;
  return `${formatModelReference(activated)} is active${before}: ${proofText(proof)}.`;
}

export function proofText({ provider, golden, latency }: ModelProof): string {
  const { vectors, largestDifference } = golden;
  const outputs =
    vectors === 0
      ? `it runs on ${provider}, but its outputs are not proved, because it has no golden vectors`
      : `${vectors} golden vectors hold on ${provider} (largest difference ${largestDifference.toPrecision(2)})`;
  return `${outputs}; ${latency === undefined ? 'latency not measured, because there are no inputs to run it on' : latencyText(latency)}`;
}

function latencyText({ p50Ms, p99Ms, deadlineMs }: LatencyFigures): string {
  return `a run takes ${p50Ms} ms (p99 ${p99Ms} ms) of the ${deadlineMs} ms allowed`;
}
